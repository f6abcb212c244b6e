with

projects as (
    select * from {{ ref('stg_config__projects') }}
)

select * from projects
