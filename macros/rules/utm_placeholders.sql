{# What analytics tools write where there is no UTM value: nothing to name a channel by. #}
{% macro without_placeholder(value) -%}
    case
        when btrim({{ value }}, {{ whitespace() }})
            not in ('', '(not set)', '(none)', 'none)', '(direct)')
            then {{ value }}
    end
{%- endmacro %}
