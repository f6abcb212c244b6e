-- A parameter that calls do not have never matches, and neither does a value left out; a label left
-- out would show as an empty cell in every report; a day in another country's order is another day.
-- noqa: disable=LT05
{% for column, cell in seed_cells('static_channels').items() %}
select {{ channel_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('static_channels') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
