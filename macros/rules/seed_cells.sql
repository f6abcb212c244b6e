{#
    The rule for each cell of a CSV: `is_right`, an SQL condition that never raises an error, and
    `must`, the same in words. The tests of the seeds show the rows that break a rule; staging casts
    a right cell to `type`, so that a build without tests stops as well. A cell without a type stays
    in the seed. In the seed a cell is text; an empty one is null or ''.

    loader/projects.py and loader/commands/check.py have the same rules: tests/faulty_seeds.py
    compares them.
#}
{% macro seed_cells(seed) %}
    {%- set project_id = {
        'type': 'bigint',
        'is_right': "project_id ~ '^[1-9][0-9]{0,17}$'",
        'must': 'be a project number, e.g. 11111',
    } -%}
    {%- if seed == 'projects' -%}
    {{ return({
        'project_id': project_id,
        'project_name': filled_in('project_name'),
        'auth_key_env': {
            'is_right': "coalesce(auth_key_env, '') = '' or auth_key_env ~ '^[A-Z_][A-Z0-9_]*$'",
            'must': 'be the NAME of an environment variable, in capitals, or empty',
        },
        'time_zone': {
            'type': 'text',
            'is_right': zone('time_zone'),
            'must': 'be an IANA zone, e.g. Europe/Kyiv',
        },
        'kpi_mode': {
            'type': 'text',
            'is_right': "coalesce(kpi_mode, '') = '' or " ~ one_of('kpi_mode', kpi_modes()).is_right,
            'must': one_of('kpi_mode', kpi_modes()).must ~ ', or empty',
        },
        'load_from': day_of('load_from'),
        'is_active': {
            'type': 'boolean',
            'is_right': "lower(is_active) in ('true', 'false')",
            'must': 'be true or false',
        },
        'api_time_zone': {
            'type': 'text',
            'is_right': "coalesce(api_time_zone, '') = '' or (" ~ zone('api_time_zone') ~ ")",
            'must': 'be an IANA zone, e.g. UTC, or empty',
        },
    }) }}
    {%- elif seed == 'static_channels' -%}
    {{ return({
        'project_id': project_id,
        'parameter': one_of('parameter', static_channel_parameters()),
        'parameter_value': {
            'type': 'text',
            'is_right': filled_in('parameter_value').is_right
            ~ " and not (parameter in ('n_alias', 'dst', 'additional_number')"
            ~ " and btrim(parameter_value) ~ '^[+-]?[0-9]+([.,][0-9]+)?E[+]?[0-9]+$')",
            'must': 'not be empty, nor a number that Excel rounded, e.g. 3.80E+11',
        },
        'traffic_source': label('traffic_source'),
        'traffic_type': label('traffic_type'),
        'campaign': label('campaign'),
        'valid_from': day_or_empty('valid_from'),
        'valid_to': day_or_empty('valid_to'),
    }) }}
    {%- elif seed == 'channel_costs' -%}
    {{ return({
        'project_id': project_id,
        'traffic_source': filled_in('traffic_source'),
        'traffic_type': filled_in('traffic_type'),
        'campaign': filled_in('campaign'),
        'starts_on': day_of('starts_on'),
        'ends_on': day_of('ends_on'),
        'cost': {
            'type': 'numeric',
            'is_right': "cost ~ '^[0-9]{1,12}([.][0-9]{1,2})?$'",
            'must': 'be an amount like 15000 or 15000.50',
        },
    }) }}
    {%- else -%}
    {{ return({
        'project_id': project_id,
        'parameter': one_of('parameter', kpi_tag_parameters()),
        'parameter_value': filled_in('parameter_value'),
        'tag': filled_in('tag'),
    }) }}
    {%- endif -%}
{% endmacro %}


{% macro zone(column) %}
    {{ return(
        column ~ ' in (select zones.name from pg_timezone_names as zones)'
        ~ ' and ' ~ column ~ " !~ '^(posix|right)/|^(localtime|Factory)$'"
    ) }}
{% endmacro %}


{% macro filled_in(column) %}
    {{ return({
        'type': 'text', 'is_right': 'not ' ~ is_blank(column), 'must': 'not be empty'
    }) }}
{% endmacro %}


{% macro label(column) %}
    {{ return({
        'type': 'text',
        'is_right': filled_in(column).is_right ~ ' and (' ~ column ~ " !~ '^[{].*[}]$' or "
        ~ column ~ ' in (' ~ channel_tokens() ~ '))',
        'must': 'not be empty; in braces it must be one of ' ~ channel_tokens() | replace("'", ''),
    }) }}
{% endmacro %}


{% macro one_of(column, values) %}
    {{ return({
        'type': 'text',
        'is_right': column ~ " in ('" ~ values | join("', '") ~ "')",
        'must': 'be one of ' ~ values | join(', '),
    }) }}
{% endmacro %}


{% macro day_of(column) %}
    {{ return({
        'type': 'date',
        'is_right': day(column) ~ ' is not null',
        'must': 'be a day from 2000 to 2100 like 2024-01-31',
    }) }}
{% endmacro %}


{% macro day_or_empty(column) %}
    {{ return({
        'type': 'date',
        'is_right': 'coalesce(' ~ column ~ ", '') = '' or " ~ day(column) ~ ' is not null',
        'must': 'be a day from 2000 to 2100 like 2024-01-31, or empty',
    }) }}
{% endmacro %}
