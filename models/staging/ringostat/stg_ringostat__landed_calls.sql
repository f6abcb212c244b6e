-- When calls took place and landed, not waiting for staging: how far the marts are built is told by
-- what has landed since. A view, so that Postgres looks into the raw table's indexes.
with

calls as (
    select
        project_id,
        call_at,
        loaded_at,
        removed_at
    from {{ source('ringostat', 'calls') }}
)

select * from calls
