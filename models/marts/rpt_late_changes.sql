with

days as (
    select * from {{ ref('int_calls_daily') }}
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

final as (
    select
        days.conversion_date,
        days.project_id,
        days.calls_added_late,
        days.calls_changed_late,
        days.last_changed_at,
        projects.project_name
    from days
    inner join projects
        on days.project_id = projects.project_id
    where days.last_changed_at is not null
)

select * from final
