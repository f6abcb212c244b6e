-- The campaigns of the advertising platforms, one row per campaign: its project, and the labels
-- under which reports show its spend and its conversions. Spend meets conversions here, and never
-- below the campaign: a campaign has one source and one type, even if its conversions have several.
--
-- A table, replaced on each run, like int_labels.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace',
        unique_key='campaign_key',
        indexes=[{'columns': ['campaign_key'], 'unique': true}, {'columns': ['project_id']}],
    )
}}

with

spend as (
    select * from {{ ref('stg_ads__spend') }}
),

labels as (
    select * from {{ ref('int_labels') }}
    where campaign_key is not null
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

-- If a single project is listed, all spend is its own.
only_project as (
    select min(project_id) as project_id
    from projects
    having count(*) = 1
),

-- The latest of what the spend says; several names on one day: the last in alphabetical order.
latest as (
    select
        campaign_key,
        project_id,
        platform,
        campaign_id,
        (
            array_agg(campaign_name order by date_day desc, campaign_name collate "C" desc)
            filter (where campaign_name <> '')
        )[1] as campaign_name,
        (
            array_agg(utm_source order by date_day desc, utm_source collate "C" desc)
            filter (where utm_source <> '')
        )[1] as utm_source,
        (
            array_agg(utm_medium order by date_day desc, utm_medium collate "C" desc)
            filter (where utm_medium <> '')
        )[1] as utm_medium
    from spend
    group by campaign_key, project_id, platform, campaign_id
),

-- The source and type of most of its conversions.
main_labels as (
    select distinct on (campaign_key)
        campaign_key,
        project_id,
        traffic_source,
        traffic_type,
        min(spend_match collate "C") over (partition by campaign_key) as spend_match
    from labels
    order by
        campaign_key asc,
        conversions desc,
        traffic_source collate "C",
        traffic_type collate "C",
        campaign collate "C"
),

final as (
    select
        latest.campaign_key,
        coalesce(latest.project_id, main_labels.project_id, only_project.project_id) as project_id,
        latest.platform,
        latest.campaign_id,
        coalesce(
            latest.utm_source, main_labels.traffic_source, nullif(latest.platform, ''), '(not set)'
        ) as traffic_source,
        coalesce(latest.utm_medium, main_labels.traffic_type, '(not set)') as traffic_type,
        coalesce(latest.campaign_name, nullif(latest.campaign_id, ''), '(not set)') as campaign,
        coalesce(main_labels.spend_match, 'none') as spend_match
    from latest
    left join main_labels
        on latest.campaign_key = main_labels.campaign_key
    left join only_project
        on true
    -- Spend of a project that is not listed is in no report, like its calls.
    where
        latest.project_id is null
        or latest.project_id in (select projects.project_id from projects)
)

select * from final
