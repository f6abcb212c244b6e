-- If a project is listed twice, chance decides which row applies.
select {{ project_line() }} || 'duplicate project_id' as fault
from {{ ref('projects') }}
where project_id in (
    select listed.project_id
    from {{ ref('projects') }} as listed
    group by listed.project_id
    having count(*) > 1
)
