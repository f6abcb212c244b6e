{#
    The projects of a large table, found by hopping through its index with one look-up per project:
    `select distinct` would read every row. Citus knows no recursion over several nodes, so there each
    node reads the index of its own projects.
#}
{% macro distinct_projects(relation) %}
    {%- if is_distributed() -%}
    select distinct project_id from {{ relation }}
    {%- else -%}
    with recursive hops as (
        (select project_id from {{ relation }} order by project_id limit 1)
        union all
        select (
            select following.project_id
            from {{ relation }} as following
            where following.project_id > hops.project_id
            order by following.project_id
            limit 1
        ) as project_id
        from hops
        where hops.project_id is not null
    )

    select project_id from hops where project_id is not null
    {%- endif -%}
{% endmacro %}


{#
    Post-hook of incremental models: deletes the rows of projects that are deleted upstream, or that
    `projects.csv` no longer lists.
#}
{% macro delete_projects_missing_upstream() %}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where project_id in (
        select here.project_id from ({{ distinct_projects(this) }}) as here
        {% for upstream in varargs -%}
        except
        select there.project_id from ({{ distinct_projects(upstream) }}) as there
        {% endfor -%}
    )
    {%- endif -%}
{% endmacro %}
