{# Whether a category is set on a call: the API answers -1 for none. #}
{% macro has_category(category_number) -%}
    not {{ is_blank(category_number) }}
    and btrim({{ category_number }}, {{ whitespace() }}) <> '-1'
{%- endmacro %}
