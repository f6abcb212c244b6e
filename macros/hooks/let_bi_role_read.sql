{#
    On-run-end: lets the role `ringostat_bi_role` read the marts. The role gets no right on the
    other schemas: views read their tables with the rights of the role that built them. (dbt's own
    `grants` does not grant usage of the schema, and models that run at the same time must not do
    so.)

    Only missing rights are granted: two builds that grant the same right at the same time may fail.
#}
{% macro let_bi_role_read() %}
    {%- set role = var('ringostat_bi_role') -%}
    {%- if execute and role and selects_ours() -%}
    {%- set name = dbt.string_literal(role) -%}
    {%- set marts = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.fqn[:2] == ['ringostat', 'marts'] -%}
        {%- do marts.append(
            '(' ~ dbt.string_literal(node.schema) ~ ', ' ~ dbt.string_literal(node.alias) ~ ')'
        ) -%}
    {%- endfor -%}
    {%- set missing = run_query(
        "with marts as ("
        ~ " select schemas.oid as schema_id, schemas.nspname, built.oid as mart_id"
        ~ " from (values " ~ marts | join(', ') ~ ") as expected (schema_name, name)"
        ~ " inner join pg_namespace as schemas on expected.schema_name = schemas.nspname"
        ~ " inner join pg_class as built"
        ~ " on schemas.oid = built.relnamespace and expected.name = built.relname)"
        ~ " select distinct format('grant usage on schema %I to %I', nspname, " ~ name ~ ")"
        ~ " from marts where not has_schema_privilege(" ~ name ~ ", schema_id, 'usage')"
        ~ " union all"
        ~ " select format('grant select on %s to %I', mart_id::regclass, " ~ name ~ ")"
        ~ " from marts where not has_table_privilege(" ~ name ~ ", mart_id, 'select')"
    ) -%}
    {{ missing.columns[0].values() | join('; ') }}
    {%- endif -%}
{% endmacro %}
