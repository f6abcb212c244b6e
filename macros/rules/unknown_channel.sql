{# What stands where neither a static channel nor a visit tells where a conversion came from. #}
{% macro unknown_source() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_source'))) }}
{%- endmacro %}


{% macro unknown_type() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_type'))) }}
{%- endmacro %}


{% macro unknown_campaign() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(var('ringostat_unknown_campaign'))) }}
{%- endmacro %}
