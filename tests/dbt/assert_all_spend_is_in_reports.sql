-- Spend that a report leaves out makes its campaigns look cheaper than they are. To the cent, and
-- with all conversions.
with

-- Costs of days to come are in the daily report alone.
in_reports as (
    select
        coalesce(sum(spend), 0) + (
            select coalesce(sum(to_come.spend), 0)
            from {{ ref('rpt_spend_daily') }} as to_come
            where to_come.date_day > current_date and to_come.conversions_all = 0
        ) as spend,
        coalesce(sum(conversions_all), 0) as conversions
    from {{ ref('rpt_campaigns_monthly') }}
),

reported as (
    select
        (
            select coalesce(sum(spend.spend), 0)
            from {{ ref('stg_ads__spend') }} as spend
            where
                spend.project_id is null
                or spend.project_id in (
                    select projects.project_id from {{ ref('stg_config__projects') }} as projects
                )
        ) + (
            select coalesce(sum(costs.cost), 0) from {{ ref('stg_config__channel_costs') }} as costs
        ) as spend,
        (
            select coalesce(sum(daily.conversions_all), 0)
            from {{ ref('rpt_conversions_daily') }} as daily
        ) as conversions
)

select
    in_reports.spend as spend_in_reports,
    reported.spend as spend_reported,
    in_reports.conversions as conversions_in_reports,
    reported.conversions
from in_reports
cross join reported
where
    -- Without spend there is nothing to sum: the test then reads no history.
    (
        exists (select 1 from {{ ref('stg_ads__spend') }})
        or exists (select 1 from {{ ref('stg_config__channel_costs') }})
    )
    and (
        in_reports.spend is distinct from reported.spend
        or in_reports.conversions is distinct from reported.conversions
    )
