-- Every conversion with its labels and tags. A view: edited channels, tags and labels reach all
-- history at once.
with

conversions as (
    select * from {{ ref('int_contacts') }}
    where is_conversion
),

attribution as (
    select * from {{ ref('int_attribution') }}
),

tags as (
    select * from {{ ref('int_tags') }}
),

final as (
    select
        conversions.project_id,
        conversions.contact_id,
        conversions.conversion_id,
        conversions.conversion_type,
        conversions.occurred_at,
        conversions.conversion_date,
        conversions.attribution_key,

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

        conversions.is_primary,
        -- A transferred call has the tags of all its legs.
        case
            when conversions.tag_keys is null then tags.is_tagged else tags_of_legs.is_tagged
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

        conversions.legs,
        conversions.disposition,
        conversions.is_answered,
        conversions.wait_seconds,
        conversions.talk_seconds,
        tags.category_number,
        tags.category_value,

        conversions.caller_digits,
        conversions.caller_key,
        conversions.loaded_at,

        -- False between the building of a conversion and of its labels, if somebody builds the
        -- models one by one. `is false` keeps the joins outer ones: of inner ones Postgres expects
        -- a thousandth of the rows, and looks up the tags of each conversion one by one.
        (attribution.attribution_key is null) is false
        and (tags.tag_key is null) is false
        and (
            conversions.tag_keys is null
            or conversions.tag_keys::uuid[] <@ tags_of_legs.tag_keys
        ) as has_labels
    from conversions
    left join attribution
        on
            conversions.project_id = attribution.project_id
            and conversions.attribution_key = attribution.attribution_key
            and conversions.conversion_date >= attribution.starts_on
            and conversions.conversion_date < attribution.ends_before
    left join tags
        on
            conversions.project_id = tags.project_id
            and conversions.tag_key = tags.tag_key
    -- A join: with a subquery in `has_labels`, Postgres would not read in parallel.
    left join
        lateral (
            select
                bool_or(of_legs.is_tagged) as is_tagged,
                array_agg(of_legs.tag_key) as tag_keys
            from {{ ref('int_tags') }} as of_legs
            where
                conversions.tag_keys is not null
                and conversions.project_id = of_legs.project_id
                and of_legs.tag_key = any(conversions.tag_keys::uuid[])
        ) as tags_of_legs
        on true
)

select * from final
