{#
    A call is a conversion unless it was removed or its type is excluded as not being a client's
    request. Unknown and missing types count: losing a client's call is worse than counting one too
    many. Forms have no call type and always count.
#}
{% macro is_conversion(call_type, is_removed) -%}
    not {{ is_removed }}
    {%- set excluded = var('ringostat_excluded_call_types') -%}
    {%- if excluded %}
    and coalesce({{ call_type }}, '') not in ('{{ excluded | join("', '") }}')
    {%- endif -%}
{%- endmacro %}
