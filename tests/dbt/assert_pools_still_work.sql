-- A number that nobody can reach, or a site that no longer passes on its visits, loses conversions
-- every day. One line per finding; the build goes on.
{{ config(severity='warn') }}

select
    project_name,
    pool_name,
    hint
from {{ ref('rpt_tracking_health') }}
where status in ('silent', 'visits_dropped')
order by project_name, pool_name
