-- An unknown field is kept in `payload`, and no model reads it: the vendor may have added something
-- useful. Looks at the newest 1,000 calls of each project.
-- noqa: disable=LT05
{{ config(severity='warn') }}

with

projects as (
    {{ distinct_projects(source('ringostat', 'calls')) }}
),

newest_calls as (
    select newest.*
    from projects
    cross join
        lateral (
            select
                calls.project_id,
                calls.payload
            from {{ source('ringostat', 'calls') }} as calls
            where calls.project_id = projects.project_id
            order by calls.loaded_at desc
            limit 1000
        ) as newest
)

select distinct
    'project ' || newest_calls.project_id || ' returns an unknown field: '
    || answered.field as fault
from newest_calls
cross join lateral jsonb_object_keys(newest_calls.payload) as answered (field)
where answered.field not in ('{{ api_fields() | join("', '") }}')
