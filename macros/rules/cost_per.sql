{# What one of the `number` cost, in cents; null if nothing is known to be spent or there are none. #}
{% macro cost_per(number) -%}
    round(spend / nullif({{ number }}, 0), 2)
{%- endmacro %}
