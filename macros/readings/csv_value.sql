{# A value as a CSV file writes it: in quotes if it would be misread without them. #}
{% macro csv_value(value) -%}
    case
        when {{ value }} ~ E'[",\n\r]' or {{ value }} <> btrim({{ value }}, {{ whitespace() }})
            then '"' || replace({{ value }}, '"', '""') || '"'
        else {{ value }}
    end
{%- endmacro %}
