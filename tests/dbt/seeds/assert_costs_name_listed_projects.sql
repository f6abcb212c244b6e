-- The cost of a project that is not listed reaches no report; most often its number is mistyped.
select {{ cost_line() }} || 'project_id is not in projects.csv' as fault
from {{ ref('channel_costs') }}
where
    project_id is null
    or project_id not in (
        select projects.project_id
        from {{ ref('projects') }} as projects
        where projects.project_id is not null
    )
