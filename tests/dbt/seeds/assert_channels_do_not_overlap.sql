-- If two channels have the same value on one day, chance decides which of them labels the call.
with

channels as (
    select
        *,
        row_number() over (order by valid_from nulls first, valid_to, campaign) as place,
        coalesce({{ day('valid_from') }}, '-infinity') as first_day,
        coalesce({{ day('valid_to') }}, 'infinity') as last_day
    from {{ ref('static_channels') }}
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
        and rivals.first_day <= channels.last_day
        and rivals.last_day >= channels.first_day
        and channels.first_day <= channels.last_day
        and rivals.first_day <= rivals.last_day
)
