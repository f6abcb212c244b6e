{# A contact has a visit to the site behind it if any trace of one is there. #}
{% macro has_visit() -%}
    {%- for trace in varargs -%}
        {{- ' or ' if not loop.first -}} (not {{ is_blank(trace) }})
    {%- endfor -%}
{%- endmacro %}
