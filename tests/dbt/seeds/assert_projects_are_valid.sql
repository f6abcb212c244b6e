-- A zone that Postgres does not know stops every model that works out a day; a KPI mode that does
-- not exist counts nothing, and reports show zeros.
-- noqa: disable=LT05
with

projects as (
    select * from {{ ref('projects') }}
)

select {{ project_line() }} || 'time_zone is no IANA name, such as Europe/Kyiv' as fault
from projects
where time_zone not in (select zones.name from pg_timezone_names as zones)

union all

select {{ project_line() }} || 'kpi_mode is none of {{ kpi_modes() | join(", ") }}'
from projects
where nullif(kpi_mode, '') not in ('{{ kpi_modes() | join("', '") }}')
