with

reported as (
    select * from {{ ref('int_reported_daily') }}
    where conversion_date is not null
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

final as (
    select
        reported.reported_on,
        reported.conversion_date,
        reported.project_id,
        projects.project_name,
        reported.conversion_type,
        reported.traffic_source,
        reported.traffic_type,
        reported.campaign,
        reported.conversions,
        reported.conversions_all,
        reported.conversions_tagged,
        reported.conversions_primary,
        reported.conversions_tagged_primary,
        reported.kpi_mode,
        reported.reason
    from reported
    inner join projects
        on reported.project_id = projects.project_id
)

select * from final
