-- A duplicate line changes no number, but deleting one of the two would have no effect.
select {{ tag_line() }} || 'duplicate row' as fault
from {{ ref('kpi_tags') }}
group by project_id, parameter, parameter_value, tag
having count(*) > 1
