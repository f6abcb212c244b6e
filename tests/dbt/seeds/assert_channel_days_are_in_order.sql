-- A channel that ends before it begins applies on no day.
select {{ channel_line() }} || 'valid_to is before valid_from' as fault
from {{ ref('static_channels') }}
where {{ day('valid_to') }} < {{ day('valid_from') }}
