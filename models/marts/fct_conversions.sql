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

-- A transferred call has the tags of all its legs, found by the index: the CTE `tags` would be read
-- whole for each such call.
tagged as (
    select
        conversions.*,
        case
            when conversions.tag_keys is null then tags.is_tagged
            else (
                select bool_or(of_legs.is_tagged)
                from {{ ref('int_tags') }} as of_legs
                where
                    conversions.project_id = of_legs.project_id
                    and of_legs.tag_key = any(conversions.tag_keys::uuid[])
            )
        end as is_tagged,
        case
            when conversions.tag_keys is null then tags.tags
            else array(
                select distinct of_leg.tag collate "C" -- noqa: RF02,RF03
                from {{ ref('int_tags') }} as of_legs
                cross join lateral unnest(of_legs.tags) as of_leg (tag)
                where
                    conversions.project_id = of_legs.project_id
                    and of_legs.tag_key = any(conversions.tag_keys::uuid[])
                order by of_leg.tag collate "C" -- noqa: RF02,RF03
            )
        end as tags,
        tags.category_number,
        tags.category_value
    from conversions
    inner join tags
        on
            conversions.project_id = tags.project_id
            and conversions.tag_key = tags.tag_key
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
        {{ label_or_unknown('attribution') }},
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
    from tagged as conversions
    inner join projects
        on conversions.project_id = projects.project_id
    inner join attribution
        on
            conversions.project_id = attribution.project_id
            and conversions.attribution_key = attribution.attribution_key
            and conversions.conversion_date >= attribution.starts_on
            and conversions.conversion_date < attribution.ends_before
)

select * from final
