{# A contact has a visit to the site if any of its traces is not blank. #}
{% macro has_visit() -%}
    {%- for trace in varargs -%}
        {{- ' or ' if not loop.first -}} (not {{ is_blank(trace) }})
    {%- endfor -%}
{%- endmacro %}
