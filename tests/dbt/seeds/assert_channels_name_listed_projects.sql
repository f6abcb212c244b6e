-- A row of a project that is not listed labels nothing; most often its number is mistyped.
select {{ channel_line() }} || 'project_id is not in projects.csv' as fault
from {{ ref('static_channels') }}
where
    project_id is null
    or project_id not in (
        select projects.project_id
        from {{ ref('projects') }} as projects
        where projects.project_id is not null
    )
