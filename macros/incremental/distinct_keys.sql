{#
    The distinct values of a contact's key with the columns that it represents, from the contacts
    that arrived since the last run. A key whose contacts have all changed is kept: it costs one row
    and labels nothing.
#}
{% macro distinct_keys(key, columns) %}
    with

    {{ new_rows('contacts', ref('int_calls_and_forms'), ref('stg_config__projects'), made_with=none) }},

    keys as (
        select
            project_id,
            {{ key }},
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            max(staged_at) as staged_at
        from contacts
        group by project_id, {{ key }}, {{ columns | join(', ') }}
    )

    select * from keys
{% endmacro %}
