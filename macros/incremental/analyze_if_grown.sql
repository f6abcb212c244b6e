{#
    Post-hook of what is built in tables: fresh statistics after a run that wrote more than a tenth of
    what Postgres knows to be there. Autovacuum comes a minute later, and until then Postgres takes a
    table that has just been filled for an empty one: a view upon it that answers in 30 ms was seen to
    take minutes. An ordinary day's rows are left to autovacuum.
#}
{% macro analyze_if_grown() %}
    {%- if execute and model.config.materialized == 'incremental' -%}
    {%- set written = load_result('main').response.rows_affected -%}
    {%- set known = run_query(
        "select reltuples from pg_class where oid = '" ~ this.include(database=false) ~ "'::regclass"
    ).rows[0][0] -%}
    {%- if written * 10 > known -%}
    analyze {{ this }}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
