-- An unknown zone stops every model that computes a day; an unknown KPI mode counts nothing; a day
-- in another country's order is another day.
-- noqa: disable=LT05
{% for column, cell in seed_cells('projects').items() %}
select {{ project_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('projects') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
