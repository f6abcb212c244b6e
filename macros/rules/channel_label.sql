{#
    A label that the row `channel` gives the row `key`: the text of its cell or, if the whole cell is
    one of these words, the call's own value. So a channel may correct one label of a dynamic pool and
    keep the others.
#}
{% macro channel_label(channel, key, label) -%}
    case
        {%- for column in utm_columns() %}
        when {{ channel }}.{{ label }} = '{{ '{' ~ column ~ '}' }}'
            then {{ utm_label(key ~ '.' ~ column) }}
        {%- endfor %}
        else {{ channel }}.{{ label }}
    end
{%- endmacro %}


{% macro utm_columns() %}
    {{ return(['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term']) }}
{% endmacro %}


{# The words as SQL strings. #}
{% macro channel_tokens() -%}
    {%- for column in utm_columns() -%}
    '{{ '{' ~ column ~ '}' }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
