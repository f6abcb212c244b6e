with

last_loads as (
    select
        project_id,
        status,
        error,
        finished_at,
        last_loaded_at
    from {{ source('ringostat', 'last_loads') }}
)

select * from last_loads
