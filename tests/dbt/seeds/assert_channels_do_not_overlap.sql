-- Two channels of one value on one day: which of them labels the call would be left to chance.
with

channels as (
    select
        *,
        row_number() over (order by valid_from nulls first, valid_to, campaign) as place,
        daterange(valid_from, valid_to, '[]') as valid_days
    from {{ ref('static_channels') }}
    where valid_to is null or valid_from is null or valid_to >= valid_from
)

select
    {{ channel_line() }}
    || 'its days overlap with another row of the same project, parameter and value' as fault
from channels
where exists (
    select 1
    from channels as rivals
    where
        rivals.project_id = channels.project_id
        and rivals.parameter = channels.parameter
        and rivals.parameter_value = channels.parameter_value
        and rivals.place <> channels.place
        and rivals.valid_days && channels.valid_days
)
