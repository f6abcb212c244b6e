{#
    How many conversions a pool was to have during its silence, by its own rate on each weekday
    between its first and its last conversion. By one rate for all days, a pool that never rings at
    weekends would be reported on every Monday.

    `counts` is an array: conversions on each weekday, Monday first.
#}
{% macro expected_in_silence(counts, first_day, last_day, until) -%}
    (
        select sum(
            {{ counts }}[weekday.number + 1]
            * ({{ days_of_weekday('weekday.number', until) }}
            - {{ days_of_weekday('weekday.number', last_day) }})::numeric
            / nullif(
                {{ days_of_weekday('weekday.number', last_day) }}
                - {{ days_of_weekday('weekday.number', first_day ~ ' - 1') }},
                0
            )
        )
        from generate_series(0, 6) as weekday (number)
    )
{%- endmacro %}


{# How many days of a weekday (Monday is 0) there are from Monday, 3 January 2000, to `day`. #}
{% macro days_of_weekday(weekday, day) -%}
    (({{ day }} - date '2000-01-03' - {{ weekday }} + 7) / 7)
{%- endmacro %}


{#
    Whether the share of calls with a visit fell: to half or less, and by more than chance explains
    once in a thousand times (3.09 standard deviations of a difference of two shares).
#}
{% macro visits_dropped(visits, calls, visits_before, calls_before) -%}
    (
        {{ visits }} * 2 * {{ calls_before }} <= {{ visits_before }} * {{ calls }}
        and ({{ visits_before }}::numeric / nullif({{ calls_before }}, 0)
            - {{ visits }}::numeric / nullif({{ calls }}, 0)) ^ 2
        > 3.09 ^ 2
        * ({{ visits }} + {{ visits_before }})::numeric / nullif({{ calls }} + {{ calls_before }}, 0)
        * (1 - ({{ visits }} + {{ visits_before }})::numeric / nullif({{ calls }} + {{ calls_before }}, 0))
        * (1.0 / nullif({{ calls }}, 0) + 1.0 / nullif({{ calls_before }}, 0))
    )
{%- endmacro %}
