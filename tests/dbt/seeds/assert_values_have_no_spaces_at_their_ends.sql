-- Values are compared exactly. A space at an end is most often a slip of the hand, but a pool may
-- really be called so: a warning.
{{ config(severity='warn') }}

select {{ channel_line() }} || 'parameter_value begins or ends with a space' as fault
from {{ ref('static_channels') }}
where parameter_value <> btrim(parameter_value, {{ whitespace() }})

union all

select {{ tag_line() }} || 'parameter_value begins or ends with a space'
from {{ ref('kpi_tags') }}
where parameter_value <> btrim(parameter_value, {{ whitespace() }})
