-- Conversions per number pool and day, and how many of them have a visit: what a channel on the
-- pool would override on its days. Depends only on the raw rows: an edited channel changes nothing
-- here.
with

conversions as (
    select * from {{ ref('int_contacts') }}
    where is_conversion
),

keys as (
    select * from {{ ref('int_attribution_keys') }}
    where not {{ is_blank('pool_name') }}
),

daily as (
    select
        conversions.project_id,
        keys.pool_name,
        conversions.conversion_date,
        count(*) as conversions,
        count(*) filter (where keys.has_visit) as conversions_with_visit
    from conversions
    inner join keys
        on
            conversions.project_id = keys.project_id
            and conversions.attribution_key = keys.attribution_key
    group by conversions.project_id, keys.pool_name, conversions.conversion_date
),

final as (
    select
        *,
        {{ is_dynamic_pool(
            'sum(conversions_with_visit) over pool', 'sum(conversions) over pool'
        ) }} as is_dynamic
    from daily
    window pool as (partition by project_id, pool_name)
)

select * from final
