-- Two costs of the same labels on one day are most often one invoice that was entered twice.
with

costs as (
    select
        *,
        row_number() over (order by starts_on, ends_on, cost) as place,
        {{ day('starts_on') }} as first_day,
        {{ day('ends_on') }} as last_day
    from {{ ref('channel_costs') }}
)

select {{ cost_line() }} || 'its days overlap with another row of the same labels' as fault
from costs
where exists (
    select 1
    from costs as others
    where
        others.project_id = costs.project_id
        and others.traffic_source = costs.traffic_source
        and others.traffic_type = costs.traffic_type
        and others.campaign = costs.campaign
        and others.place <> costs.place
        and others.first_day <= costs.last_day
        and others.last_day >= costs.first_day
        and costs.first_day <= costs.last_day
        and others.first_day <= others.last_day
)
