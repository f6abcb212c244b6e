-- Spend and conversions that do not meet: campaigns that cost money and never had a conversion, and
-- paid campaigns with conversions and no known cost, month by month. The most similar name on the
-- other side shows a typo.
--
-- What two queries here read is not materialized, so that a filter by project reaches the tables:
-- with all projects' names compared, one project's year took five seconds instead of a few
-- milliseconds.
with

monthly as not materialized (
    select * from {{ ref('rpt_campaigns_monthly') }}
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

labels as (
    select * from {{ ref('int_labels') }}
),

campaigns as (
    select * from {{ ref('int_spend_campaigns') }}
),

channel_costs as not materialized (
    select distinct
        project_id,
        traffic_source,
        traffic_type,
        campaign
    from {{ ref('stg_config__channel_costs') }}
),

costs_without_conversions as not materialized (
    select channel_costs.*
    from channel_costs
    left join labels
        on
            channel_costs.project_id = labels.project_id
            and channel_costs.traffic_source = labels.traffic_source
            and channel_costs.traffic_type = labels.traffic_type
            and channel_costs.campaign = labels.campaign
    where labels.project_id is null
),

labels_without_spend as not materialized (
    select labels.*
    from labels
    left join channel_costs
        on
            labels.project_id = channel_costs.project_id
            and labels.traffic_source = channel_costs.traffic_source
            and labels.traffic_type = channel_costs.traffic_type
            and labels.campaign = channel_costs.campaign
    where labels.campaign_key is null and channel_costs.project_id is null
),

unmatched as (
    select
        'spend' as side,
        monthly.month,
        monthly.project_id,
        monthly.campaign,
        monthly.spend,
        0 as conversions
    from monthly
    left join costs_without_conversions as costs
        on
            monthly.project_id = costs.project_id
            and monthly.traffic_source = costs.traffic_source
            and monthly.traffic_type = costs.traffic_type
            and monthly.campaign = costs.campaign
    where
        monthly.spend is not null
        and monthly.conversions_all = 0
        and (
            monthly.spend_match = 'none'
            or (monthly.spend_match = 'channel_cost' and costs.project_id is not null)
        )
    union all
    select
        'conversions' as side,
        monthly.month,
        monthly.project_id,
        monthly.campaign,
        null as spend,
        monthly.conversions_all as conversions
    from monthly
    inner join labels_without_spend as labels
        on
            monthly.project_id = labels.project_id
            and monthly.traffic_source = labels.traffic_source
            and monthly.traffic_type = labels.traffic_type
            and monthly.campaign = labels.campaign
    where
        monthly.spend is null
        and monthly.conversions_all > 0
        and {{ is_paid('monthly.traffic_type', 'monthly.campaign') }}
),

-- The names on each side, to compare.
spend_names as not materialized (
    select
        project_id,
        campaign,
        {{ letter_pairs('campaign') }} as pairs
    from (
        select
            project_id,
            campaign
        from campaigns
        where spend_match = 'none'
        union
        select
            project_id,
            campaign
        from costs_without_conversions
    ) as names
),

conversion_names as not materialized (
    select
        project_id,
        campaign,
        {{ letter_pairs('campaign') }} as pairs
    from (
        select
            project_id,
            campaign
        from labels_without_spend
        group by project_id, campaign
    ) as names
),

of_one_project as not materialized (
    select
        spend_names.project_id,
        spend_names.campaign as spend_campaign,
        conversion_names.campaign,
        {{ similarity('spend_names.pairs', 'conversion_names.pairs') }} as similarity
    from spend_names
    inner join conversion_names
        on spend_names.project_id = conversion_names.project_id
),

-- Spend that belongs to no project may be meant for any.
of_any_project as not materialized (
    select
        conversion_names.project_id,
        spend_names.campaign as spend_campaign,
        conversion_names.campaign,
        {{ similarity('spend_names.pairs', 'conversion_names.pairs') }} as similarity
    from spend_names
    cross join conversion_names
    where spend_names.project_id is null
),

nearest as (
    select distinct on (project_id, spend_campaign)
        project_id,
        spend_campaign,
        campaign as nearest_match
    from of_one_project
    where similarity >= {{ least_similarity() }}
    order by project_id asc, spend_campaign asc, similarity desc, campaign collate "C"
),

nearest_in_any_project as (
    select distinct on (spend_campaign)
        spend_campaign,
        campaign as nearest_match
    from of_any_project
    where similarity >= {{ least_similarity() }}
    order by spend_campaign asc, similarity desc, campaign collate "C"
),

nearest_spend as (
    select distinct on (project_id, campaign)
        project_id,
        campaign,
        spend_campaign as nearest_match
    from (
        select * from of_one_project
        union all
        select * from of_any_project
    ) as pairs
    where similarity >= {{ least_similarity() }}
    order by project_id asc, campaign asc, similarity desc, spend_campaign collate "C"
),

final as (
    select
        unmatched.month,
        unmatched.project_id,
        unmatched.campaign,
        unmatched.side,
        sum(unmatched.spend) as spend,
        sum(unmatched.conversions)::bigint as conversions,
        max(
            case
                when unmatched.side = 'conversions' then nearest_spend.nearest_match
                when unmatched.project_id is null then nearest_in_any_project.nearest_match
                else nearest.nearest_match
            end
        ) as nearest_match,
        projects.project_name
    from unmatched
    left join projects
        on unmatched.project_id = projects.project_id
    left join nearest
        on
            unmatched.project_id = nearest.project_id
            and unmatched.campaign = nearest.spend_campaign
    left join nearest_in_any_project
        on unmatched.campaign = nearest_in_any_project.spend_campaign
    left join nearest_spend
        on
            unmatched.project_id = nearest_spend.project_id
            and unmatched.campaign = nearest_spend.campaign
    group by
        unmatched.month,
        unmatched.project_id,
        unmatched.campaign,
        unmatched.side,
        projects.project_name
)

select * from final
