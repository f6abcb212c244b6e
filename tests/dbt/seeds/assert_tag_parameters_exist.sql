-- A parameter that calls do not have never matches, and what it should tag is not counted.
-- noqa: disable=LT05
select {{ tag_line() }} || 'parameter is none of {{ kpi_tag_parameters() | join(", ") }}' as fault
from {{ ref('kpi_tags') }}
where parameter is null or parameter not in ('{{ kpi_tag_parameters() | join("', '") }}')
