-- A parameter that calls do not have never matches, and its calls stay in «Неизвестная кампания».
-- noqa: disable=LT05
select {{ channel_line() }} || 'parameter is none of {{ static_channel_parameters() | join(", ") }}' as fault
from {{ ref('static_channels') }}
where parameter is null or parameter not in ('{{ static_channel_parameters() | join("', '") }}')
