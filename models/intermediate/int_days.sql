-- All days from the first conversion to the last, without a gap: MetricFlow's calendar.
with

conversions as (
    select * from {{ ref('int_conversions_daily') }}
    where has_labels
),

days as (
    select
        -- Without a time zone: some have no midnight on the day on which their clocks change.
        generate_series(
            min(conversion_date)::timestamp, max(conversion_date)::timestamp, interval '1 day'
        ) as conversion_date
    from conversions
)

select conversion_date::date as conversion_date from days
