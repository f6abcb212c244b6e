-- The labels that conversions have: one row per project, source, type and campaign, with the
-- campaign of the advertising platforms that they stand for.
--
-- A campaign matches labels whose campaign is its id; these are most often `utm_campaign` as
-- answered. Else it matches labels whose campaign is exactly one of its names. If several campaigns
-- match, the first of these decides: by id before by name; the `utm_source` of the spend is the
-- source of the labels; the platform begins with that source, as google_ads with google; the
-- campaign is of this project, not of any; it spent most.
--
-- A campaign whose spend names no project belongs to the one project whose labels it matches. If it
-- matches labels of several, it belongs to none.
--
-- A table, replaced on each run. Without any spend it is empty and costs nothing.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace',
        unique_key=['project_id', 'traffic_source', 'traffic_type', 'campaign'],
        indexes=[
            {'columns': ['project_id', 'traffic_source', 'traffic_type', 'campaign'], 'unique': true}
        ],
    )
}}

with

spend as (
    select * from {{ ref('stg_ads__spend') }}
),

labels as (
    select
        project_id,
        traffic_source,
        traffic_type,
        campaign,
        sum(conversions_all)::bigint as conversions
    from {{ ref('int_conversions_daily') }}
    where
        has_labels
        and (
            exists (select 1 from {{ ref('stg_ads__spend') }})
            or exists (select 1 from {{ ref('stg_config__channel_costs') }})
        )
    group by project_id, traffic_source, traffic_type, campaign
),

campaigns as (
    select
        campaign_key,
        project_id,
        lower(platform) as platform,
        (
            array_agg(lower(utm_source) order by date_day desc, utm_source collate "C" desc)
            filter (where utm_source <> '')
        )[1] as utm_source,
        sum(spend) as spend
    from spend
    group by campaign_key, project_id, platform
),

names as (
    select
        campaign_key,
        campaign_id as campaign,
        'campaign_id' as spend_match
    from spend
    where campaign_id <> ''
    union
    select
        campaign_key,
        campaign_name as campaign,
        'campaign_name' as spend_match
    from spend
    where campaign_name not in ('', campaign_id)
    union
    select
        campaign_key,
        utm_campaign as campaign,
        'campaign_name' as spend_match
    from spend
    where utm_campaign not in ('', campaign_id)
),

candidates as (
    select
        labels.project_id,
        labels.traffic_source,
        labels.traffic_type,
        labels.campaign,
        names.campaign_key,
        names.spend_match,
        campaigns.project_id is null as is_of_any_project,
        row_number() over (
            partition by
                labels.project_id, labels.traffic_source, labels.traffic_type, labels.campaign
            order by
                names.spend_match collate "C" asc, -- noqa: RF02
                coalesce(campaigns.utm_source = lower(labels.traffic_source), false) desc,
                starts_with(campaigns.platform, lower(labels.traffic_source)) desc,
                campaigns.project_id is null asc,
                campaigns.spend desc,
                campaigns.campaign_key asc
        ) as place
    from labels
    inner join names
        on labels.campaign = names.campaign
    inner join campaigns
        on
            names.campaign_key = campaigns.campaign_key
            and labels.project_id = coalesce(campaigns.project_id, labels.project_id)
),

chosen as (
    select * from candidates
    where place = 1
),

-- The projects of a campaign that names none: those that it matches by id; if there are none, those
-- that it matches by name.
projects_of_campaigns as (
    select
        campaign_key,
        min(project_id) as project_id
    from (
        select
            *,
            min(spend_match collate "C") over (partition by campaign_key) as best_match
        from chosen
        where is_of_any_project
    ) as ranked
    where spend_match = best_match
    group by campaign_key
    having count(distinct project_id) = 1
),

matches as (
    select chosen.*
    from chosen
    left join projects_of_campaigns
        on
            chosen.campaign_key = projects_of_campaigns.campaign_key
            and chosen.project_id = projects_of_campaigns.project_id
    where not chosen.is_of_any_project or projects_of_campaigns.project_id is not null
),

final as (
    select
        labels.project_id,
        labels.traffic_source,
        labels.traffic_type,
        labels.campaign,
        labels.conversions,
        matches.campaign_key,
        matches.spend_match
    from labels
    left join matches
        on
            labels.project_id = matches.project_id
            and labels.traffic_source = matches.traffic_source
            and labels.traffic_type = matches.traffic_type
            and labels.campaign = matches.campaign
)

select * from final
