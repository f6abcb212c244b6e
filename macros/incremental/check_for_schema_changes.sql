{#
    Redefines the macro by which dbt finds out whether a model has other columns than its table: one
    query in place of two, and no comparison if the columns are the same. On an ordinary day that is a
    tenth of what dbt itself takes. If they differ, dbt says in what.

    It is called by its plain name, which dbt looks up in the package of a node first: in a project
    that installs this one, it does not change that project's own models.
#}
{% macro check_for_schema_changes(source_relation, target_relation) %}
    {%- set source = dbt.string_literal(source_relation.include(database=false)) ~ '::regclass' -%}
    {%- set target = dbt.string_literal(target_relation.include(database=false)) ~ '::regclass' -%}
    {%- set found = run_query(
        "select json_agg(json_build_array(name, type) order by attnum)"
        ~ " filter (where attrelid = " ~ source ~ ")::text,"
        ~ " array_agg((name, type)::text order by name) filter (where attrelid = " ~ source ~ ")"
        ~ " = array_agg((name, type)::text order by name) filter (where attrelid = " ~ target ~ ")"
        ~ " from pg_attribute, format_type(atttypid, atttypmod) as type, text(attname) as name"
        ~ " where attrelid in (" ~ source ~ ", " ~ target ~ ") and attnum > 0 and not attisdropped"
    ).rows[0] -%}
    {%- if not found[1] -%}
    {{ return(dbt.check_for_schema_changes(source_relation, target_relation)) }}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for name, type in fromjson(found[0]) -%}
    {%- do columns.append(api.Column.create(name, type)) -%}
    {%- endfor -%}
    {{ return({'schema_changed': false, 'source_columns': columns}) }}
{% endmacro %}
