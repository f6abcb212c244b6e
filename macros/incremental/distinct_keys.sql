{#
    The distinct values of a contact's key with the columns that it represents, from the contacts
    that arrived since the last run. A key whose contacts have all changed is kept: it costs one row
    and labels nothing.

    A full build writes the keys of a project together: whoever needs them all, as an edit of channels
    does, reads them at 500,000 keys in 0.15 s instead of 0.5 s.
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
    {% if not is_incremental() -%}
    order by project_id
    {%- endif %}
{% endmacro %}
