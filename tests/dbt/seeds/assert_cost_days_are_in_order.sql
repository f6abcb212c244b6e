-- A cost that ends before it begins falls on no day.
select {{ cost_line() }} || 'ends_on is before starts_on' as fault
from {{ ref('channel_costs') }}
where {{ day('ends_on') }} < {{ day('starts_on') }}
