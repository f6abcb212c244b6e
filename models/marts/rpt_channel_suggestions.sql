-- What to add to static_channels.csv for each pool in «Неизвестная кампания»: usually one row,
-- more if the labels depend on the day. The first of these that fits gives the labels:
--
-- 1. The pool is dynamic: each call's own UTM values, which other labels would override.
-- 2. The pool is configured, but not on the days of these calls: the labels of the days beside.
-- 3. The pool nearly equals a configured name: the labels of that name.
-- 4. All these calls carry the same UTM values, placeholders aside: these values.
--
-- Otherwise the labels are empty, for the user to fill in.
with

-- Two readings of fct_conversions: this one takes only the unmapped conversions.
unmapped as (
    select
        project_id,
        pool_name,
        conversion_date,
        occurred_at,
        {{ without_placeholder('utm_source') }} as utm_source,
        {{ without_placeholder('utm_medium') }} as utm_medium,
        {{ without_placeholder('utm_campaign') }} as utm_campaign
    from {{ ref('fct_conversions') }}
    where unknown_reason = 'unmapped_pool'
),

channels as (
    select
        *,
        daterange(valid_from, valid_to, '[]') as valid_days
    from {{ ref('stg_config__static_channels') }}
    where parameter = 'pool_name' and not coalesce(valid_from > valid_to, false)
),

pools as (
    select
        project_id,
        pool_name,
        count(*) as conversions,
        min(occurred_at) as first_conversion_at,
        max(occurred_at) as last_conversion_at,
        range_agg(daterange(conversion_date, conversion_date, '[]')) as unmapped_days,
        count(distinct row(utm_source, utm_medium, utm_campaign)) = 1 as is_one_source,
        min(utm_source) as utm_source,
        min(utm_medium) as utm_medium,
        min(utm_campaign) as utm_campaign
    from unmapped
    group by project_id, pool_name
),

others as (
    select
        conversions.project_id,
        conversions.pool_name,
        count(*) as conversions_by_utm
    from {{ ref('fct_conversions') }} as conversions
    where
        (conversions.project_id, conversions.pool_name) in (
            select
                pools.project_id,
                pools.pool_name
            from pools
        )
        and conversions.attribution_method = 'utm'
    group by conversions.project_id, conversions.pool_name
),

dynamic_pools as (
    select distinct
        project_id,
        pool_name
    from {{ ref('int_pools_daily') }}
    where is_dynamic
),

-- Each configured name that a pool equals or nearly equals, with the smallest difference that
-- explains it.
near_misses as (
    {%- set pool = pool_name_foldings('pools.pool_name') %}
    {%- set configured = pool_name_foldings('channels.parameter_value') %}
    select
        pools.project_id,
        pools.pool_name,
        channels.parameter_value as suggested_value,
        case
            when pools.pool_name = channels.parameter_value then 0
            {%- for reason in pool %}
            when {{ pool[reason] }} = {{ configured[reason] }} then {{ loop.index }}
            {%- endfor %}
        end as rank,
        case
            when pools.pool_name = channels.parameter_value then 'days'
            {%- for reason in pool %}
            when {{ pool[reason] }} = {{ configured[reason] }} then '{{ reason }}'
            {%- endfor %}
        end as suggestion_reason
    from pools
    inner join channels
        on
            pools.project_id = channels.project_id
            and {{ pool.look_alike }} = {{ configured.look_alike }}
),

meant as (
    select distinct on (project_id, pool_name)
        project_id,
        pool_name,
        suggested_value,
        suggestion_reason
    from near_misses
    order by project_id, pool_name, rank, suggested_value collate "C"
),

suggested as (
    select
        pools.*,
        coalesce(others.conversions_by_utm, 0) as conversions_by_utm,
        dynamic_pools.pool_name is not null as is_dynamic,
        meant.suggested_value,
        meant.suggestion_reason
    from pools
    left join others
        on
            pools.project_id = others.project_id
            and pools.pool_name = others.pool_name
    left join dynamic_pools
        on
            pools.project_id = dynamic_pools.project_id
            and pools.pool_name = dynamic_pools.pool_name
    left join meant
        on
            pools.project_id = meant.project_id
            and pools.pool_name = meant.pool_name
),

-- The days on which no row of a configured pool applies.
open_days as (
    select
        gaps.project_id,
        gaps.pool_name,
        lower(gaps.stretch) as valid_from,
        upper(gaps.stretch) as ends_before
    from (
        select
            channels.project_id,
            channels.parameter_value as pool_name,
            unnest('{(,)}'::datemultirange - range_agg(channels.valid_days)) as stretch
        from channels
        group by channels.project_id, channels.parameter_value
    ) as gaps
    inner join suggested
        on
            gaps.project_id = suggested.project_id
            and gaps.pool_name = suggested.pool_name
            and gaps.stretch && suggested.unmapped_days
),

-- The days before the open ones give the labels; if there are none, the days after them do.
of_open_days as (
    select distinct on (open_days.project_id, open_days.pool_name, open_days.valid_from)
        open_days.project_id,
        open_days.pool_name,
        channels.traffic_source,
        channels.traffic_type,
        channels.campaign,
        open_days.valid_from,
        open_days.ends_before - 1 as valid_to
    from open_days
    inner join channels
        on
            open_days.project_id = channels.project_id
            and open_days.pool_name = channels.parameter_value
            and (
                open_days.valid_from = channels.valid_to + 1
                or open_days.ends_before = channels.valid_from
            )
    order by
        open_days.project_id,
        open_days.pool_name,
        open_days.valid_from,
        channels.valid_to nulls last
),

labels as (
    select * from of_open_days
    union all
    select
        suggested.project_id,
        suggested.pool_name,
        channels.traffic_source,
        channels.traffic_type,
        channels.campaign,
        channels.valid_from,
        channels.valid_to
    from suggested
    inner join channels
        on
            suggested.project_id = channels.project_id
            and suggested.suggested_value = channels.parameter_value
    where suggested.suggestion_reason <> 'days' and not suggested.is_dynamic
    union all
    select
        project_id,
        pool_name,
        case when is_one_source then utm_source end as traffic_source,
        case when is_one_source then utm_medium end as traffic_type,
        case when is_one_source then utm_campaign end as campaign,
        null as valid_from,
        null as valid_to
    from suggested
    where suggestion_reason is null or (suggestion_reason <> 'days' and is_dynamic)
)

select
    suggested.project_id,
    suggested.pool_name,
    suggested.conversions,
    suggested.first_conversion_at,
    suggested.last_conversion_at,
    suggested.suggested_value,
    suggested.suggestion_reason,
    suggested.conversions_by_utm,
    case when suggested.is_dynamic then '{utm_source}' else labels.traffic_source end
        as traffic_source,
    case when suggested.is_dynamic then '{utm_medium}' else labels.traffic_type end
        as traffic_type,
    case when suggested.is_dynamic then '{utm_campaign}' else labels.campaign end as campaign,
    labels.valid_from,
    labels.valid_to,
    suggested.is_dynamic,
    projects.project_name
from suggested
inner join {{ ref('stg_config__projects') }} as projects
    on suggested.project_id = projects.project_id
inner join labels
    on
        suggested.project_id = labels.project_id
        and suggested.pool_name = labels.pool_name
