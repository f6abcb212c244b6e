with

last_loads as (
    select * from {{ source('ringostat', 'last_loads') }}
)

select * from last_loads
