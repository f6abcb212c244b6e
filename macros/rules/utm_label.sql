{# A UTM value as a label: as answered, and where there is none, as analytics tools write it. #}
{% macro utm_label(value) -%}
    case when {{ is_blank(value) }} then '(not set)' else {{ value }} end
{%- endmacro %}
