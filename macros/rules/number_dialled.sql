{#
    The number that the client dialled. In a callback, and in a call of unknown type, it may be the
    client's own number, which no mart shows.
#}
{% macro number_dialled(call_type, dst) -%}
    case when {{ call_type }} in ('in', 'transitin') then {{ dst }} end
{%- endmacro %}
