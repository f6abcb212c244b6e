-- If another project or system counts the same requests, the KPIs of both look better than they
-- are. A few callers do phone two projects; more than the allowed share suggests a wrong set-up.
{{ config(severity='warn') }}

with

duplicates as (
    select
        project_id,
        count(distinct conversion_id) as duplicates
    from {{ ref('rpt_possible_duplicates') }}
    group by project_id
),

conversions as (
    select
        project_id,
        count(*) as conversions
    from {{ ref('fct_conversions') }}
    group by project_id
)

select
    'project ' || conversions.project_id || ': ' || duplicates.duplicates || ' of '
    || conversions.conversions || ' conversions may be counted elsewhere too: see '
    || 'rpt_possible_duplicates' as fault
from conversions
inner join duplicates
    on conversions.project_id = duplicates.project_id
where
    duplicates.duplicates
    > conversions.conversions * {{ var('ringostat_duplicate_share') }}
