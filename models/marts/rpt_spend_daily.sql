-- Spend beside conversions, by day and by the labels that reports show. A campaign that spend knows
-- has one name, source and type here: see int_spend_campaigns.
with

conversions as (
    select * from {{ ref('rpt_conversions_daily') }}
),

lost_requests as (
    select * from {{ ref('rpt_lost_requests') }}
    where outcome = 'lost'
),

channel_costs as (
    select * from {{ ref('int_channel_costs') }}
),

spend as (
    select * from {{ ref('stg_ads__spend') }}
),

labels as (
    select * from {{ ref('int_labels') }}
),

campaigns as (
    select * from {{ ref('int_spend_campaigns') }}
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

by_label as (
    select
        project_id,
        conversion_date as date_day,
        traffic_source,
        traffic_type,
        campaign,
        conversions,
        conversions_all,
        conversions_tagged,
        conversions_primary,
        conversions_tagged_primary,
        category_value,
        missed,
        0 as lost,
        null::numeric as spend,
        null as spend_match
    from conversions
    union all
    select
        project_id,
        conversion_date as date_day,
        traffic_source,
        traffic_type,
        campaign,
        0 as conversions,
        0 as conversions_all,
        0 as conversions_tagged,
        0 as conversions_primary,
        0 as conversions_tagged_primary,
        0 as category_value,
        0 as missed,
        count(*) as lost,
        null as spend,
        null as spend_match
    from lost_requests
    group by project_id, conversion_date, traffic_source, traffic_type, campaign
    union all
    select
        project_id,
        date_day,
        traffic_source,
        traffic_type,
        campaign,
        0 as conversions,
        0 as conversions_all,
        0 as conversions_tagged,
        0 as conversions_primary,
        0 as conversions_tagged_primary,
        0 as category_value,
        0 as missed,
        0 as lost,
        spend,
        'channel_cost' as spend_match
    from channel_costs
),

by_campaign as (
    select
        by_label.project_id,
        by_label.date_day,
        coalesce(campaigns.traffic_source, by_label.traffic_source) as traffic_source,
        coalesce(campaigns.traffic_type, by_label.traffic_type) as traffic_type,
        coalesce(campaigns.campaign, by_label.campaign) as campaign,
        by_label.conversions,
        by_label.conversions_all,
        by_label.conversions_tagged,
        by_label.conversions_primary,
        by_label.conversions_tagged_primary,
        by_label.category_value,
        by_label.missed,
        by_label.lost,
        by_label.spend,
        by_label.spend_match
    from by_label
    left join labels
        on
            by_label.project_id = labels.project_id
            and by_label.traffic_source = labels.traffic_source
            and by_label.traffic_type = labels.traffic_type
            and by_label.campaign = labels.campaign
    left join campaigns
        on labels.campaign_key = campaigns.campaign_key
    union all
    select
        campaigns.project_id,
        spend.date_day,
        campaigns.traffic_source,
        campaigns.traffic_type,
        campaigns.campaign,
        0 as conversions,
        0 as conversions_all,
        0 as conversions_tagged,
        0 as conversions_primary,
        0 as conversions_tagged_primary,
        0 as category_value,
        0 as missed,
        0 as lost,
        spend.spend,
        campaigns.spend_match
    from campaigns
    inner join spend
        on campaigns.campaign_key = spend.campaign_key
),

final as (
    select
        by_campaign.date_day,
        by_campaign.project_id,
        projects.project_name,
        by_campaign.traffic_source,
        by_campaign.traffic_type,
        by_campaign.campaign,

        sum(by_campaign.spend) as spend,

        sum(by_campaign.conversions)::bigint as conversions,
        sum(by_campaign.conversions_all)::bigint as conversions_all,
        sum(by_campaign.conversions_tagged)::bigint as conversions_tagged,
        sum(by_campaign.conversions_primary)::bigint as conversions_primary,
        sum(by_campaign.conversions_tagged_primary)::bigint as conversions_tagged_primary,
        sum(by_campaign.category_value) as category_value,

        sum(by_campaign.missed)::bigint as missed,
        sum(by_campaign.lost)::bigint as lost,

        -- The alphabet has the most certain first: campaign_id, campaign_name, channel_cost.
        coalesce(min(by_campaign.spend_match collate "C"), 'none') as spend_match -- noqa: RF02
    from by_campaign
    left join projects
        on by_campaign.project_id = projects.project_id
    group by
        by_campaign.date_day,
        by_campaign.project_id,
        projects.project_name,
        by_campaign.traffic_source,
        by_campaign.traffic_type,
        by_campaign.campaign
)

select * from final
