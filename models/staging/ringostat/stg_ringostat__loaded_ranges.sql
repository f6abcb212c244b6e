with

loaded_ranges as (
    select * from {{ source('ringostat', 'loaded_ranges') }}
)

select * from loaded_ranges
