with

conversions as (
    select * from {{ ref('int_contacts') }}
    where is_conversion
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

attribution as (
    select * from {{ ref('int_attribution') }}
),

tags as (
    select * from {{ ref('int_tags') }}
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
        coalesce(attribution.traffic_source, {{ unknown_source() }}) as traffic_source,
        coalesce(attribution.traffic_type, {{ unknown_type() }}) as traffic_type,
        coalesce(attribution.campaign, {{ unknown_campaign() }}) as campaign,
        attribution.attribution_method,
        attribution.unknown_reason,
        attribution.channel_id,
        attribution.pool_name,
        attribution.utm_source,
        attribution.utm_medium,
        attribution.utm_campaign,
        attribution.utm_content,
        attribution.utm_term,

        -- whether it counts
        tags.is_tagged,
        conversions.is_primary,
        {{ is_counted('projects.kpi_mode', 'tags.is_tagged', 'conversions.is_primary') }}
            as is_counted,
        tags.tags,

        -- the call
        conversions.disposition,
        conversions.is_answered,
        conversions.wait_seconds,
        conversions.talk_seconds,

        conversions.caller_key,
        conversions.loaded_at
    from conversions
    inner join projects
        on conversions.project_id = projects.project_id
    inner join attribution
        on
            conversions.project_id = attribution.project_id
            and conversions.attribution_key = attribution.attribution_key
            and conversions.conversion_date >= attribution.starts_on
            and conversions.conversion_date < attribution.ends_before
    inner join tags
        on
            conversions.project_id = tags.project_id
            and conversions.tag_key = tags.tag_key
)

select * from final
