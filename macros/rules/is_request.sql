{#
    A call is a client's request unless it was removed or its type is excluded. Unknown and missing
    types count: losing a client's call is worse than counting one too many. Forms have no call type
    and always count. A request is one conversion, even if it has several rows: see `is_leg`.
#}
{% macro is_request(call_type, is_removed) -%}
    not {{ is_removed }}
    {%- set excluded = var('ringostat_excluded_call_types') -%}
    {%- if excluded %}
    and coalesce({{ call_type }}, '') not in ('{{ excluded | join("', '") }}')
    {%- endif -%}
{%- endmacro %}
