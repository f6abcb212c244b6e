with

conversions as (
    select * from {{ ref('fct_conversions') }}
),

final as (
    select
        conversion_date,
        project_id,
        project_name,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,

        -- by the project's KPI mode, and by each of the modes
        count(*) filter (where is_counted) as conversions,
        count(*) as conversions_all,
        count(*) filter (where is_tagged) as conversions_tagged,
        count(*) filter (where is_primary) as conversions_primary,
        count(*) filter (where is_tagged and is_primary) as conversions_tagged_primary,

        -- of all conversions
        count(*) filter (where is_answered) as answered,
        count(*) filter (where not is_answered) as missed,
        coalesce(sum(talk_seconds), 0)::bigint as talk_seconds,
        count(distinct caller_key) as unique_callers,
        count(*) filter (where is_answered is null and conversion_type <> 'form') as in_progress,

        -- of those that the KPI mode counts
        coalesce(sum(category_value) filter (where is_counted), 0) as category_value
    from conversions
    group by
        conversion_date,
        project_id,
        project_name,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign
)

select * from final
