-- A call that is none of the three is in no report of missed calls: nobody calls the client back.
select
    conversion_date,
    project_id,
    traffic_source,
    traffic_type,
    campaign,
    conversions_all as calls,
    answered,
    missed,
    in_progress
from {{ ref('rpt_conversions_daily') }}
where conversion_type <> 'form' and conversions_all <> answered + missed + in_progress
