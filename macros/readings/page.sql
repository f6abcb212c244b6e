{# A page's address without what follows `?` or `#`, where sites put names and numbers of clients. #}
{% macro page(address) -%}
    substring({{ address }} from '^[^?#]*')
{%- endmacro %}
