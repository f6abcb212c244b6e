-- A row of a project that is not listed labels nothing: most often a mistyped number.
with

projects as (
    select * from {{ ref('projects') }}
)

select {{ channel_line() }} || 'project_id is not in projects.csv' as fault
from {{ ref('static_channels') }}
where project_id is null or project_id not in (select projects.project_id from projects)

union all

select {{ tag_line() }} || 'project_id is not in projects.csv'
from {{ ref('kpi_tags') }}
where project_id is null or project_id not in (select projects.project_id from projects)
