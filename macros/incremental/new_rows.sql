{#
    CTE `name`: the rows of `relation` to compute in this run. A full build takes all rows of the
    listed projects; an incremental one takes the rows that arrived after their project's watermark,
    and all rows of a project that must be computed again. `projects`, `made_with` and `newest` are as
    in `watermarks`.
#}
{% macro new_rows(name, relation, projects, made_with='made_with', newest=none, is_read_again=false) %}
    {%- if is_incremental() -%}
watermarks as{{ spread() }} (
    {{ watermarks(projects, made_with=made_with, newest=newest) }}
),

{{ name }} as{{ kept() if is_read_again else spread() }} (
    {{ arrived_after_watermark(relation) }}
)
    {%- else -%}
{{ name }} as{{ kept() if is_read_again else spread() }} (
    select * from {{ relation }}
    where project_id in (select project_id from {{ projects }})
)
    {%- endif -%}
{% endmacro %}
