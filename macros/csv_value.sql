{# A value as a CSV file writes it: in quotes where it would be read as something else without. #}
{% macro csv_value(value) -%}
    case
        when {{ value }} ~ E'[",\n\r]|^[ \t\u00a0]|[ \t\u00a0]$'
            then '"' || replace({{ value }}, '"', '""') || '"'
        else {{ value }}
    end
{%- endmacro %}
