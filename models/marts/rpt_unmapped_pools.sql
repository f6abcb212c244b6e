with

conversions as (
    select * from {{ ref('fct_conversions') }}
    where unknown_reason = 'unmapped_pool'
),

configured_names as (
    select distinct
        project_id,
        parameter_value as pool_name
    from {{ ref('stg_config__static_channels') }}
    where parameter = 'pool_name'
),

pools as (
    select
        project_id,
        pool_name,
        count(*) as conversions,
        min(occurred_at) as first_conversion_at,
        max(occurred_at) as last_conversion_at
    from conversions
    group by project_id, pool_name
),

-- Each configured name that a pool nearly equals, with the smallest difference that explains it.
near_misses as (
    {%- set pool = pool_name_foldings('pools.pool_name') %}
    {%- set configured = pool_name_foldings('configured_names.pool_name') %}
    select
        pools.project_id,
        pools.pool_name,
        configured_names.pool_name as suggested_value,
        case
            {%- for reason in pool %}
            when {{ pool[reason] }} = {{ configured[reason] }} then {{ loop.index }}
            {%- endfor %}
        end as rank,
        case
            {%- for reason in pool %}
            when {{ pool[reason] }} = {{ configured[reason] }} then '{{ reason }}'
            {%- endfor %}
        end as suggestion_reason
    from pools
    inner join configured_names
        on
            pools.project_id = configured_names.project_id
            and pools.pool_name <> configured_names.pool_name
            and {{ pool.look_alike }} = {{ configured.look_alike }}
),

suggestions as (
    select distinct on (project_id, pool_name)
        project_id,
        pool_name,
        suggested_value,
        suggestion_reason
    from near_misses
    order by project_id, pool_name, rank, suggested_value collate "C"
),

final as (
    select
        pools.project_id,
        pools.pool_name,
        pools.conversions,
        pools.first_conversion_at,
        pools.last_conversion_at,
        suggestions.suggested_value,
        suggestions.suggestion_reason,
        pools.project_id || ',pool_name,' || {{ csv_value('pools.pool_name') }} || ',,,,,'
            as seed_row
    from pools
    left join suggestions
        on
            pools.project_id = suggestions.project_id
            and pools.pool_name = suggestions.pool_name
)

select * from final
