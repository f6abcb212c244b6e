{#
    CTE `name`: the rows of `relation` to work out in this run. All those of the listed projects in a
    full build; else those that arrived after their project's watermark, and all rows of a project
    that is to be worked out again. `projects`, `made_with` and `newest` are those of `watermarks`.
#}
{% macro new_rows(name, relation, projects, made_with='made_with', newest=none) %}
    {%- if is_incremental() -%}
watermarks as (
    {{ watermarks(projects, made_with=made_with, newest=newest) }}
),

{{ name }} as (
    {{ arrived_after_watermark(relation) }}
)
    {%- else -%}
{{ name }} as (
    select * from {{ relation }}
    where project_id in (select project_id from {{ projects }})
)
    {%- endif -%}
{% endmacro %}
