-- An unknown parameter or an empty value never matches; an empty label shows as an empty cell in
-- every report; a day in another country's order is another day.
-- noqa: disable=LT05
{% for column, cell in seed_cells('static_channels').items() %}
select {{ channel_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('static_channels') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
