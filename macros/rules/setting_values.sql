{#
    The rule for every var of the project. A value is right if it is null and the var is `optional`,
    or if it passes all the other checks of its rule:

    kind           text, number, whole (number), flag or words (a list of lower-case words)
    one_of         the possible values
    least, most    the bounds of a number, both included
#}
{% macro setting_values() %}
    {%- set label = {'kind': 'text', 'must': 'be text, not empty'} -%}
    {%- set flag = {'kind': 'flag', 'must': 'be true or false'} -%}
    {{ return({
        'ringostat_kpi_mode': {
            'one_of': kpi_modes(), 'must': 'be one of ' ~ kpi_modes() | join(', ')
        },
        'ringostat_excluded_call_types': {
            'kind': 'words', 'must': 'be a list of call types in lower case, e.g. [out, transitout]'
        },
        'ringostat_transfer_seconds': {
            'kind': 'whole', 'least': 0, 'most': 3600,
            'must': 'be a whole number of seconds from 0 to 3600',
        },
        'ringostat_primary_rule': {
            'one_of': ['vendor', 'first_contact'], 'must': 'be one of vendor, first_contact'
        },
        'ringostat_primary_window_days': {
            'kind': 'whole', 'least': 1, 'most': 36500, 'optional': true,
            'must': 'be a whole number of days from 1 to 36500, or null',
        },
        'ringostat_unknown_source': label,
        'ringostat_unknown_type': label,
        'ringostat_unknown_campaign': label,
        'ringostat_other_conversions': {
            'kind': 'text', 'optional': true, 'must': 'be the name of a relation, or null'
        },
        'ringostat_duplicate_minutes': {
            'kind': 'whole', 'least': 0, 'most': 525600,
            'must': 'be a whole number of minutes from 0 to 525600',
        },
        'ringostat_duplicate_share': {
            'kind': 'number', 'least': 0, 'most': 1, 'must': 'be a number from 0 to 1'
        },
        'ringostat_ad_spend': {
            'kind': 'text', 'optional': true, 'must': 'be the name of a relation, or null'
        },
        'ringostat_call_back_hours': {
            'kind': 'whole', 'least': 1, 'most': 720,
            'must': 'be a whole number of hours from 1 to 720',
        },
        'ringostat_call_back_seconds': {
            'kind': 'whole', 'least': 0, 'most': 3600,
            'must': 'be a whole number of seconds from 0 to 3600',
        },
        'ringostat_health_conversions': {
            'kind': 'whole', 'least': 1, 'most': 100000,
            'must': 'be a whole number from 1 to 100000',
        },
        'ringostat_health_probability': {
            'kind': 'number', 'least': 0, 'most': 1, 'must': 'be a number from 0 to 1'
        },
        'ringostat_reported_days': {
            'kind': 'whole', 'least': 0, 'most': 36500,
            'must': 'be a whole number of days from 0 to 36500',
        },
        'ringostat_show_employees': flag,
        'ringostat_show_visits': flag,
        'ringostat_bi_role': {
            'kind': 'text', 'one_of': roles(), 'optional': true,
            'must': 'be the name of a role of this Postgres server, or null',
        },
    }) }}
{% endmacro %}


{% macro roles() %}
    {{ return(run_query('select rolname from pg_roles').columns[0].values() | list) }}
{% endmacro %}
