-- What static channels cost per day: each amount of channel_costs.csv is spread evenly over its
-- days, in whole cents, so that the days add up to the amount.
with

costs as (
    select
        *,
        ends_on - starts_on + 1 as days
    from {{ ref('stg_config__channel_costs') }}
),

final as (
    select
        costs.project_id,
        costs.traffic_source,
        costs.traffic_type,
        costs.campaign,
        costs.starts_on + passed.days as date_day,
        round(costs.cost * (passed.days + 1) / costs.days, 2)
        - round(costs.cost * passed.days / costs.days, 2) as spend
    from costs
    cross join lateral generate_series(0, costs.days - 1) as passed (days)
)

select * from final
