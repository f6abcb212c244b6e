{#
    The distinct values of a contact's key with the columns it stands for, taken from the contacts
    that arrived since the last run. A key whose contacts have all changed stays: it costs a row and
    labels nothing.
#}
{% macro distinct_keys(key, columns) %}
    with

    {% if is_incremental() %}
    watermarks as (
        {{ watermarks(ref('stg_config__projects')) }}
    ),

    contacts as (
        {{ arrived_after_watermark(ref('int_contacts')) }}
    ),
    {% else %}
    contacts as (
        select * from {{ ref('int_contacts') }}
    ),
    {% endif %}

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
