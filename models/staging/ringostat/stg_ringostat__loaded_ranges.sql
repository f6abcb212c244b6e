with

loaded_ranges as (
    select
        project_id,
        loaded_from,
        loaded_until
    from {{ source('ringostat', 'loaded_ranges') }}
)

select * from loaded_ranges
