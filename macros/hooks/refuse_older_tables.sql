{#
    On-run-start: a warehouse that an older version built is left as it is, with all that reads it,
    until somebody asks for a full refresh. Otherwise the build would replace what it can, dropping
    the views on it, and stop at the first table that lacks a column.

    A table is older if it is a view there, or lacks a column that its model has today.
#}
{% macro refuse_older_tables() %}
    {%- if execute and not flags.FULL_REFRESH and selects_ours() -%}
    {%- set tables = [] -%}
    {%- for node in graph.nodes.values()
        if node.config.materialized == 'incremental' and node.package_name == 'ringostat'
        and node.config.full_refresh is not sameas false -%}
        {#- `replace` adds the columns that are missing. -#}
        {%- set columns = [] if node.config.incremental_strategy == 'replace' else node.columns -%}
        {%- do tables.append(
            '(' ~ dbt.string_literal(node.schema) ~ ', ' ~ dbt.string_literal(node.alias) ~ ', '
            ~ dbt.string_literal('{' ~ columns | join(',') ~ '}') ~ '::text[])'
        ) -%}
    {%- endfor -%}
    {%- set older = run_query(
        "select expected.schema_name || '.' || expected.name"
        ~ " from (values " ~ tables | join(', ') ~ ") as expected (schema_name, name, columns)"
        ~ " inner join pg_namespace as schemas on expected.schema_name = schemas.nspname"
        ~ " inner join pg_class as built"
        ~ " on schemas.oid = built.relnamespace and expected.name = built.relname"
        ~ " where built.relkind = 'v' or not expected.columns <@ array("
        ~ " select attname::text from pg_attribute"
        ~ " where attrelid = built.oid and not attisdropped)"
        ~ " order by 1"
    ).columns[0].values() -%}
    {%- if older -%}
    {%- do exceptions.raise_compiler_error(
        'nothing was built: ' ~ older[0] ~ ' is of an older version. Run `'
        ~ ('ringostat run' if project_name == 'ringostat' else 'dbt build --select package:ringostat')
        ~ ' --full-refresh` once; "How to upgrade" in CHANGELOG.md says what becomes of your views'
    ) -%}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
