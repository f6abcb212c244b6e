{# The labels of a conversion that has neither a static channel nor a visit. #}
{% macro unknown_source() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_source'))) }}
{%- endmacro %}


{% macro unknown_type() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_type'))) }}
{%- endmacro %}


{% macro unknown_campaign() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_campaign'))) }}
{%- endmacro %}
