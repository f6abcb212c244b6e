{#
    Post-hook of tables: refreshes the statistics after a run that wrote more than a tenth of the
    rows that Postgres knows. Autovacuum comes a minute later, and until then Postgres plans as if a
    table that has just been filled were empty: a view on it that takes 30 ms then took minutes. The
    rows of an ordinary day are left to autovacuum.
#}
{% macro analyze_if_grown() %}
    {%- if execute and model.config.materialized == 'incremental' -%}
    {%- set written = load_result('main').response.rows_affected -%}
    {%- if written or not is_incremental() -%}
    {%- set name = dbt.string_literal(this.include(database=false)) -%}
    {%- set known = run_query(
        "select reltuples from pg_class where oid = " ~ name ~ "::regclass" if not is_distributed()
        else "select coalesce(sum(result::real), 0) from run_command_on_shards(" ~ name
        ~ ", 'select reltuples from pg_class where oid = ''%s''::regclass') where success"
    ).rows[0][0] -%}
    {%- if written * 10 > known -%}
    analyze {{ this }};
    {%- endif -%}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
