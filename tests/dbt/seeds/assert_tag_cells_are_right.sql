-- A parameter that calls do not have never matches, and neither does a value left out: what it
-- should tag is not counted. A label left out would show in `tags` as nothing.
-- noqa: disable=LT05
{% for column, cell in seed_cells('kpi_tags').items() %}
select {{ tag_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('kpi_tags') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
