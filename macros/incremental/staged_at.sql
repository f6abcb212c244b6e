{#
    When a staging model writes its rows: one moment for all rows of a statement, and a later one
    for each later statement. It is the watermark of the models that read staging.

    `loaded_at` cannot be that watermark: calls and forms are staged at different moments, so a form
    that lands between the two would move a common watermark past calls that are not staged yet.

    A statement takes the moment under `lock_staging`. So a reader that sees rows of one moment sees
    all rows of earlier moments, calls and forms together. The moments grow even if the server's
    clock is set back.

    Use it in the outermost select: inside a CTE, a volatile expression makes Postgres write the
    whole CTE to disk.
#}
{% macro staged_at() -%}
    (
        select greatest(
            clock_timestamp()
            {%- for staging in staged_relations() %},
            {{ after_newest(staging, clock='staged_at') }}
            {%- endfor %}
        )
    )
{%- endmacro %}


{#
    The staging tables, if they have `staged_at`: one that a full refresh makes anew may lack it. None
    in a unit test, which has no `this`.
#}
{% macro staged_relations() %}
    {%- set found = [] -%}
    {%- if execute and this -%}
    {%- for name in ['stg_ringostat__calls', 'stg_ringostat__forms'] -%}
    {%- set staging = load_relation(relation_of(name)) -%}
    {%- if staging and (
        not should_full_refresh()
        or 'staged_at' in adapter.get_columns_in_relation(staging) | map(attribute='name')
    ) -%}
    {%- do found.append(staging) -%}
    {%- endif -%}
    {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{% endmacro %}


{#
    A microsecond after the newest moment of a large table, found with one look-up per project.
#}
{% macro after_newest(relation, clock) -%}
    (
        select max(newest.{{ clock }}) + interval '1 microsecond'
        from ({{ distinct_projects(relation) }}) as projects
        cross join lateral (
            select written.{{ clock }}
            from {{ relation }} as written
            where written.project_id = projects.project_id
            order by written.{{ clock }} desc
            limit 1
        ) as newest
    )
{%- endmacro %}
