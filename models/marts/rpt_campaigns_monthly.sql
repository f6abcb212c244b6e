with

daily as (
    select * from {{ ref('rpt_spend_daily') }}
),

monthly as (
    select
        date_trunc('month', date_day)::date as month,
        project_id,
        project_name,
        traffic_source,
        traffic_type,
        campaign,
        sum(spend) as spend,
        sum(conversions)::bigint as conversions,
        sum(conversions_all)::bigint as conversions_all,
        sum(conversions_tagged)::bigint as conversions_tagged,
        sum(conversions_primary)::bigint as conversions_primary,
        sum(conversions_tagged_primary)::bigint as conversions_tagged_primary,
        sum(category_value) as category_value,
        sum(missed)::bigint as missed,
        sum(lost)::bigint as lost,
        coalesce(min(spend_match collate "C"), 'none') as spend_match -- noqa: RF02
    from daily
    -- A static channel's cost is known for days to come, on which nobody has called yet. Where a
    -- project's day begins before the reader's, somebody may have.
    where date_day <= current_date or conversions_all > 0
    group by
        date_trunc('month', date_day)::date,
        project_id,
        project_name,
        traffic_source,
        traffic_type,
        campaign
),

final as (
    select
        month,
        project_id,
        project_name,
        traffic_source,
        traffic_type,
        campaign,

        spend,

        conversions,
        conversions_all,
        conversions_tagged,
        conversions_primary,
        conversions_tagged_primary,

        {{ cost_per('conversions') }} as cost_per_conversion,
        {{ cost_per('conversions_all') }} as cost_per_conversion_all,
        {{ cost_per('conversions_tagged') }} as cost_per_conversion_tagged,
        {{ cost_per('conversions_primary') }} as cost_per_conversion_primary,
        {{ cost_per('conversions_tagged_primary') }} as cost_per_conversion_tagged_primary,

        category_value,
        missed,
        lost,
        -- What the lost requests cost: each as much as any other conversion of the campaign.
        round(spend * lost / nullif(conversions_all, 0), 2) as lost_spend,

        spend_match
    from monthly
)

select * from final
