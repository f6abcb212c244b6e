-- An amount that cannot be read, or a day in another country's order, would move money.
-- noqa: disable=LT05
{% for column, cell in seed_cells('channel_costs').items() %}
select {{ cost_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('channel_costs') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
