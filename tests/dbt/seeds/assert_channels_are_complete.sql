-- A value left out matches nothing; a label left out would show as an empty cell in every report.
{% for column in ['parameter_value', 'traffic_source', 'traffic_type', 'campaign'] %}
select {{ channel_line() }} || '{{ column }} is empty' as fault
from {{ ref('static_channels') }}
where {{ is_blank(column) }}
{{ 'union all' if not loop.last }}
{% endfor %}
