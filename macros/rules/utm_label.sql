{# A UTM value as a label: unchanged, or if it is blank, analytics tools' `(not set)`. #}
{% macro utm_label(value) -%}
    case when {{ is_blank(value) }} then '(not set)' else {{ value }} end
{%- endmacro %}
