-- When calls took place and landed, including calls that are not staged yet: those show how far the
-- marts are built. A view, so that Postgres uses the indexes of the raw table.
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
