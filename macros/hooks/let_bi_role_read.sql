{#
    On-run-end: lets the role `ringostat_bi_role` read the marts. The role gets no right on the
    other schemas: views read their tables with the rights of the role that built them. (dbt's own
    `grants` does not grant usage of the schema, and models that run at the same time must not do
    so.)

    Only missing rights are granted: two builds that grant the same right at the same time may fail.
#}
{% macro let_bi_role_read() %}
    {%- set role = var('ringostat_bi_role') -%}
    {%- set marts = target.schema ~ '_marts' -%}
    {%- if execute and role and adapter.check_schema_exists(target.database, marts) -%}
    {%- set name = dbt.string_literal(role) -%}
    {%- set missing = run_query(
        "select format('grant usage on schema %I to %I', nspname, " ~ name ~ ")"
        ~ " from pg_namespace"
        ~ " where nspname = '" ~ marts ~ "' and not has_schema_privilege(" ~ name ~ ", oid, 'usage')"
        ~ " union all"
        ~ " select format('grant select on %s to %I', oid::regclass, " ~ name ~ ")"
        ~ " from pg_class"
        ~ " where relnamespace = '" ~ adapter.quote(marts) ~ "'::regnamespace"
        ~ " and relkind in ('r', 'p', 'v', 'm') and not has_table_privilege(" ~ name ~ ", oid, 'select')"
    ) -%}
    {{ missing.columns[0].values() | join('; ') }}
    {%- endif -%}
{% endmacro %}
