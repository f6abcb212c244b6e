-- Of a project that is listed twice, which row holds would be left to chance.
select {{ project_line() }} || 'duplicate project_id' as fault
from {{ ref('projects') }}
where project_id in (
    select listed.project_id
    from {{ ref('projects') }} as listed
    group by listed.project_id
    having count(*) > 1
)
