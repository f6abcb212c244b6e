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


{# The three labels of a row of int_attribution, which leaves unknown ones empty. #}
{% macro label_or_unknown(attribution) -%}
    coalesce({{ attribution }}.traffic_source, {{ unknown_source() }}) as traffic_source,
        coalesce({{ attribution }}.traffic_type, {{ unknown_type() }}) as traffic_type,
        coalesce({{ attribution }}.campaign, {{ unknown_campaign() }}) as campaign
{%- endmacro %}
