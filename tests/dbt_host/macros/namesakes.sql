{# Macros that have the names of some of the package, and other meanings. #}
{% macro digits(value) -%}
    length({{ value }})
{%- endmacro %}


{% macro selects_ours() %}
    {{ return('of the host') }}
{% endmacro %}


{% macro get_incremental_replace_sql(arguments) %}
    insert into {{ arguments['target_relation'] }} select * from {{ arguments['temp_relation'] }}
{% endmacro %}
