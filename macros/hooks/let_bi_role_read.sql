{#
    On-run-end: the role that `ringostat_bi_role` names may read the marts. It gets nothing on the
    other schemas; views read their tables with the rights of whoever built them.
    (dbt's own `grants` does not open the schema, and several models at once may not.)
#}
{% macro let_bi_role_read() %}
    {%- set role = var('ringostat_bi_role') -%}
    {%- set marts = target.schema ~ '_marts' -%}
    {%- if execute and role and adapter.check_schema_exists(target.database, marts) -%}
    grant usage on schema {{ adapter.quote(marts) }} to {{ adapter.quote(role) }};
    grant select on all tables in schema {{ adapter.quote(marts) }} to {{ adapter.quote(role) }}
    {%- endif -%}
{% endmacro %}
