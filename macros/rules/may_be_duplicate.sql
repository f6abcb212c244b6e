{#
    Whether two conversions may be of one request: the same caller, not more than
    `ringostat_duplicate_minutes` apart.
#}
{% macro may_be_duplicate(one, other) -%}
    {{ one }}.caller_digits = {{ other }}.caller_digits
    and {{ other }}.occurred_at
    between {{ one }}.occurred_at
    - make_interval(mins => {{ var('ringostat_duplicate_minutes') }})
    and {{ one }}.occurred_at
    + make_interval(mins => {{ var('ringostat_duplicate_minutes') }})
{%- endmacro %}
