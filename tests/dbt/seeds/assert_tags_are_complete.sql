-- A value left out matches nothing; a label left out would stand in `tags` as nothing.
{% for column in ['parameter_value', 'tag'] %}
select {{ tag_line() }} || '{{ column }} is empty' as fault
from {{ ref('kpi_tags') }}
where {{ is_blank(column) }}
{{ 'union all' if not loop.last }}
{% endfor %}
