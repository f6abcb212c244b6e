{# The salt of caller_key; from the environment alone. #}
{% macro caller_salt() -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(env_var('RINGOSTAT_CALLER_SALT', ''))) }}
{%- endmacro %}


{#
    A caller without the number: the same for one caller everywhere, and not to be turned back
    without the salt. Stored, not worked out in a view: anybody may read a view's definition, and
    with it the salt.
#}
{% macro caller_key(digits) -%}
    encode(sha256(convert_to({{ caller_salt() }} || {{ digits }}, 'UTF8')), 'hex')
{%- endmacro %}
