-- A zone that Postgres does not know stops every model that works out a day; a KPI mode that does
-- not exist counts nothing; a day in another country's order is another day.
-- noqa: disable=LT05
{% for column, cell in seed_cells('projects').items() %}
select {{ project_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('projects') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
