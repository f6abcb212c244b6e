-- Values are compared exactly, and reports group by labels. A space at an end is most often a
-- mistake, but a pool's name may really have one, so this is a warning.
{{ config(severity='warn') }}

{% for column in ['parameter_value', 'traffic_source', 'traffic_type', 'campaign'] %}
select {{ channel_line() }} || '{{ column }} begins or ends with a space' as fault
from {{ ref('static_channels') }}
where {{ column }} <> btrim({{ column }}, {{ whitespace() }})
union all
{% endfor %}

{% for column in ['traffic_source', 'traffic_type', 'campaign'] %}
select {{ cost_line() }} || '{{ column }} begins or ends with a space' as fault
from {{ ref('channel_costs') }}
where {{ column }} <> btrim({{ column }}, {{ whitespace() }})
union all
{% endfor %}

{% for column in ['parameter_value', 'tag'] %}
select {{ tag_line() }} || '{{ column }} begins or ends with a space' as fault
from {{ ref('kpi_tags') }}
where {{ column }} <> btrim({{ column }}, {{ whitespace() }})
{{ 'union all' if not loop.last }}
{% endfor %}
