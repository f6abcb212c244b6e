{#
    Whether a conversion is its caller's first.

    vendor          the vendor's own flag, else its counter, else first in the loaded history
    first_contact   first in the loaded history, or first after the window's days of silence

    A caller without a number cannot be recognised again and is always primary. `previous_at` is the
    time of the same caller's previous conversion, null if there is none.
#}
{% macro is_primary(caller_digits, unique_call, call_counter, occurred_at, previous_at) -%}
    {%- set window_days = var('ringostat_primary_window_days') -%}
    {%- if var('ringostat_primary_rule') == 'vendor' -%}
    {{ caller_digits }} is null
    or coalesce({{ unique_call }}, {{ call_counter }} = 1, {{ previous_at }} is null)
    {%- else -%}
    {{ caller_digits }} is null
    or {{ previous_at }} is null
    {%- if window_days is not none %}
    {#- Hours, not days: a day of an interval has 23 or 25 hours when the clock changes. #}
    or {{ occurred_at }} - {{ previous_at }} >= make_interval(hours => 24 * {{ window_days }})
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
