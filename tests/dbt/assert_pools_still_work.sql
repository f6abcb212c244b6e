-- A number that nobody can reach, or a site that no longer passes on its visits, loses conversions
-- every day. One line per finding; the build goes on. Inactive projects are left out: a warning of
-- theirs would never end.
{{ config(severity='warn') }}

select
    health.project_name,
    health.pool_name,
    health.hint
from {{ ref('rpt_tracking_health') }} as health
inner join {{ ref('dim_projects') }} as projects on health.project_id = projects.project_id
where projects.is_active and health.status in ('silent', 'visits_dropped')
order by health.project_name, health.pool_name
