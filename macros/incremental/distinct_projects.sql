{#
    The projects of a large table by hopping through its index, one look-up a project:
    `select distinct` reads every row.
#}
{% macro distinct_projects(relation) %}
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
{% endmacro %}


{#
    Post-hook of incremental models: a project that is deleted upstream, or that `projects.csv` no
    longer lists, leaves no trace here.
#}
{% macro delete_projects_missing_upstream(upstream) %}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where project_id in (
        select here.project_id from ({{ distinct_projects(this) }}) as here
        except
        select there.project_id from ({{ distinct_projects(upstream) }}) as there
    )
    {%- endif -%}
{% endmacro %}
