{#
    A label of a channel for a key that it matches: the text of the channel's cell or, if the whole
    cell is one of these words, the call's own value. So a channel may correct one label of a dynamic
    pool and keep the others.
#}
{% macro channel_label(label) -%}
    case {{ label }}
        {%- for column in utm_columns() %}
        when '{{ '{' ~ column ~ '}' }}' then {{ utm_label(column) }}
        {%- endfor %}
        else {{ label }}
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
