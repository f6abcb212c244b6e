-- An unknown parameter or an empty value never matches, so the calls that it should tag are not
-- counted. An empty label would be missing in `tags`.
-- noqa: disable=LT05
{% for column, cell in seed_cells('kpi_tags').items() %}
select {{ tag_line() }} || '{{ column }} must {{ cell.must }}' as fault
from {{ ref('kpi_tags') }}
where not coalesce({{ cell.is_right }}, false)
{{ 'union all' if not loop.last }}
{% endfor %}
