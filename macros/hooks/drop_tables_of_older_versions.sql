{#
    On-run-end: drops the tables that older versions built under names that no model has today. They
    hold phone numbers, and no deletion reaches them.

    A table that a view still reads stays: another mart's until that mart is built, a user's own
    until the user drops it.
#}
{% macro drop_tables_of_older_versions() %}
    {%- set names = ['int_conversions'] -%}
    {%- for name in names %}
    do $$
    begin
        drop table if exists {{ adapter.quote(target.schema ~ '_intermediate') }}.{{ name }};
    exception
        when dependent_objects_still_exist or invalid_schema_name then null;
    end $$;
    {% endfor -%}
{% endmacro %}
