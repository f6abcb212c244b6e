-- The same line twice changes no number, but whoever deletes one of them wonders why nothing
-- happens.
select {{ tag_line() }} || 'duplicate row' as fault
from {{ ref('kpi_tags') }}
group by project_id, parameter, parameter_value, tag
having count(*) > 1
