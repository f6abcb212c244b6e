{# A value as a CSV file writes it: in quotes where it would be read as something else without. #}
{% macro csv_value(value) -%}
    case
        when {{ value }} ~ E'[",\n\r]' or {{ value }} <> btrim({{ value }}, {{ whitespace() }})
            then '"' || replace({{ value }}, '"', '""') || '"'
        else {{ value }}
    end
{%- endmacro %}
