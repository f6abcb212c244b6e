{# A contact has a visit to the site behind it where either trace of one is there. #}
{% macro has_visit(client_id, landing) -%}
    (not {{ is_blank(client_id) }}) or (not {{ is_blank(landing) }})
{%- endmacro %}
