{#
    On-run-end: drops the tables that older versions built under names that no model has today. They
    hold phone numbers, and no deletion reaches them.

    A table that a view still reads stays: another mart's until that mart is built, a user's own
    until the user drops it. In a project that installs this one, a table of such a name may be
    that project's own.
#}
{% macro drop_tables_of_older_versions() %}
    {%- set names = ['int_conversions'] -%}
    {%- for name in names if project_name == 'ringostat' %}
    do $$
    begin
        drop table if exists {{ adapter.quote(target.schema ~ '_intermediate') }}.{{ name }};
    exception
        when dependent_objects_still_exist or invalid_schema_name then null;
    end $$;
    {% endfor -%}
{% endmacro %}
