-- All days from the first conversion to the last, without a gap: MetricFlow's calendar.
with

conversions as (
    select * from {{ ref('int_conversions_daily') }}
    where has_labels
),

ends as (
    select
        -- Without a time zone: some have no midnight on the day on which their clocks change.
        min(conversion_date)::timestamp as first_day,
        max(conversion_date)::timestamp as last_day
    from conversions
),

days as (
    select passed.conversion_date::date as conversion_date
    from ends
    cross join
        lateral generate_series(ends.first_day, ends.last_day, interval '1 day')
            as passed (conversion_date)
)

select * from days
