with

conversions as (
    select * from {{ ref('int_labelled_conversions') }}
    where has_labels
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

final as (
    select
        conversions.conversion_id,
        conversions.project_id,
        projects.project_name,
        conversions.conversion_type,
        -- what follows `11111:call:` or `11111:form:`
        substr(conversions.conversion_id, length(conversions.project_id || ':call:') + 1)
            as source_id,
        conversions.occurred_at,
        conversions.conversion_date,

        -- where it came from
        conversions.traffic_source,
        conversions.traffic_type,
        conversions.campaign,
        conversions.attribution_method,
        conversions.unknown_reason,
        conversions.channel_id,
        conversions.pool_name,
        conversions.utm_source,
        conversions.utm_medium,
        conversions.utm_campaign,
        conversions.utm_content,
        conversions.utm_term,

        -- whether it counts
        conversions.is_tagged,
        conversions.is_primary,
        {{ is_counted('projects.kpi_mode', 'conversions.is_tagged', 'conversions.is_primary') }}
            as is_counted,
        conversions.tags,

        -- the call
        conversions.disposition,
        conversions.is_answered,
        conversions.wait_seconds,
        conversions.talk_seconds,

        conversions.caller_key,
        conversions.loaded_at,

        conversions.legs,
        conversions.category_number,
        conversions.category_value
    from conversions
    inner join projects
        on conversions.project_id = projects.project_id
)

select * from final
