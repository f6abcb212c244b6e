{#
    Redefines the macro by which dbt's seeds record what they ran, without one step: dbt also writes
    that text to `target/run/` + the path of the seed. If that path is absolute, as in a folder that
    RINGOSTAT_SEEDS names, the joined path is the seed itself, and the user's CSV would be
    overwritten.

    Both macros here are called by their plain names, which dbt looks up in the package of a node
    first: in a project that installs this one, they do not change that project's own seeds.
#}
{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) -%}
    {%- set ran = caller() -%}
    {%- if name is not none -%}
        {{ store_raw_result(
            name, message=message, code=code, rows_affected=rows_affected, agate_table=res
        ) }}
    {%- endif -%}
{%- endmacro %}


{#
    Adds the columns that files of earlier versions lack, empty. They are not among the seed's
    `column_types`, because dbt would warn about a column that is not there, so their type is set
    here.
#}
{% macro create_csv_table(model, agate_table) %}
    {%- set created = dbt.create_csv_table(model, agate_table) -%}
    {%- for column in {'projects': ['api_time_zone']}.get(model.name, []) -%}
        {%- call statement('_') -%}
        alter table {{ this }} add column if not exists {{ column }} text;
        alter table {{ this }} alter column {{ column }} type text
        {%- endcall -%}
    {%- endfor -%}
    {{ return(created) }}
{% endmacro %}
