{#
    The days on which contacts were counted that were written after their project's watermark (CTE
    `watermarks`): those of the contacts, and those to which they belonged before.
#}
{% macro days_of_written_contacts() -%}
    select
        project_id,
        conversion_date
    from written
    union
    select
        project_id,
        unnest(earlier_dates::date[]) as conversion_date
    from written
{%- endmacro %}
