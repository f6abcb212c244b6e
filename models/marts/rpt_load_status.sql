with

projects as (
    select
        *,
        load_from::timestamp at time zone time_zone as first_midnight
    from {{ ref('stg_config__projects') }}
),

loaded_ranges as (
    select * from {{ ref('stg_ringostat__loaded_ranges') }}
),

last_loads as (
    select * from {{ ref('stg_ringostat__last_loads') }}
),

calls as (
    select
        project_id,
        count(*) as calls,
        min(call_at) as first_call_at,
        max(call_at) as last_call_at
    from {{ ref('stg_ringostat__calls') }}
    where removed_at is null
    group by project_id
),

-- Loaded without a gap: the range that holds the midnight from which the project is to be loaded.
loaded as (
    select
        projects.project_id,
        projects.project_name,
        projects.is_active,
        last_loads.status as last_status,
        last_loads.error as last_error,
        last_loads.last_loaded_at,
        loaded_ranges.loaded_until,
        (extract(epoch from now() - loaded_ranges.loaded_until) / 3600)::numeric(12, 1)
            as hours_behind
    from projects
    left join last_loads
        on projects.project_id = last_loads.project_id
    left join loaded_ranges
        on
            projects.project_id = loaded_ranges.project_id
            and projects.first_midnight >= loaded_ranges.loaded_from
            and projects.first_midnight < loaded_ranges.loaded_until
),

final as (
    select
        loaded.project_id,
        loaded.project_name,
        case
            when not loaded.is_active then 'inactive'
            when loaded.last_status is null then 'never_loaded'
            when loaded.last_status = 'failed' then 'failed'
            when loaded.hours_behind <= {{ env_var('RINGOSTAT_STALE_HOURS', '26') }} then 'loaded'
            else 'stale'
        end as status,
        loaded.loaded_until,
        loaded.last_loaded_at,
        loaded.last_error,
        coalesce(calls.calls, 0) as calls,
        calls.first_call_at,
        calls.last_call_at,
        loaded.hours_behind
    from loaded
    left join calls
        on loaded.project_id = calls.project_id
)

select * from final
