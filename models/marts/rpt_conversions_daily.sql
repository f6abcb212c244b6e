with

daily as (
    select * from {{ ref('int_conversions_daily') }}
    where has_labels
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

final as (
    select
        daily.conversion_date,
        daily.project_id,
        projects.project_name,
        daily.conversion_type,
        daily.traffic_source,
        daily.traffic_type,
        daily.campaign,

        -- by the project's KPI mode, and by each of the modes
        {{ of_kpi_mode('projects.kpi_mode', 'daily.conversions') }} as conversions,
        daily.conversions_all,
        daily.conversions_tagged,
        daily.conversions_primary,
        daily.conversions_tagged_primary,

        -- of all conversions
        daily.answered,
        daily.missed,
        daily.talk_seconds,
        daily.unique_callers,
        daily.in_progress,

        -- of those that the KPI mode counts
        {{ of_kpi_mode('projects.kpi_mode', 'daily.category_value') }} as category_value,
        {{ of_kpi_mode('projects.kpi_mode', 'daily.conversions_unknown') }} as conversions_unknown,

        daily.attribution_method,
        projects.kpi_mode
    from daily
    inner join projects
        on daily.project_id = projects.project_id
)

select * from final
