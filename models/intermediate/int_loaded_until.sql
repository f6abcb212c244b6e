-- Up to when each project is loaded without a gap: the end of the loaded range with the midnight
-- from which the project must be loaded. A project without such a range has no row.
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

final as (
    select
        projects.project_id,
        loaded_ranges.loaded_until,
        -- The last day that is loaded from its first to its last minute.
        (loaded_ranges.loaded_until at time zone projects.time_zone)::date - 1 as last_whole_day
    from projects
    inner join loaded_ranges
        on
            projects.project_id = loaded_ranges.project_id
            and projects.first_midnight >= loaded_ranges.loaded_from
            and projects.first_midnight < loaded_ranges.loaded_until
)

select * from final
