{#
    How far an incremental model has read each project's rows: project_id and `clock`.

    The watermark is the `staged_at` of staging, or the `written_at` of int_contacts, not call time:
    edits arrive late, and by call time yesterday's re-tagged calls would be lost. Each project has
    its own: a project that is listed later is read from its beginning.

    projects   a relation with one row per project
    made_with  a column of it: if the model's newest row was made with another value, the whole
               project is read again. So each run must write the newest rows of a project.
    newest     a column that picks one newest row among rows of one moment: with it, only that row
               must be written. It is an output column too.
    clock      the column that the watermark is of, in the model as in what it reads

    The newest row is looked up by sub-queries, not by a lateral outer join: with that, Citus would
    collect on one machine what is joined to the watermarks.
#}
{% macro watermarks(projects, made_with=none, newest=none, clock='staged_at') %}
    {%- set newest_row -%}
                from {{ this }} as taken
                where taken.project_id = projects.project_id
                order by taken.{{ clock }} desc{{ ', taken.' ~ newest ~ ' desc' if newest }}
                limit 1
    {%- endset -%}
    select
        projects.project_id,
        {% if newest -%}
        (
            select taken.{{ newest }}
            {{ newest_row }}
        ) as {{ newest }},
        {% endif -%}
        coalesce(
            (
                {% if made_with -%}
                select
                    case
                        when taken.{{ made_with }} = projects.{{ made_with }}
                            then taken.{{ clock }}
                    end
                {%- else -%}
                select taken.{{ clock }}
                {%- endif %}
                {{ newest_row }}
            ),
            '-infinity'
        ) as {{ clock }}
    from {{ projects }} as projects
{% endmacro %}


{#
    The rows of a relation that arrived after their project's watermark (CTE `watermarks`).

    The cost of a run depends on the rows that have arrived, not on the size of the table: `offset
    0` makes Postgres look up project by project, and the upper bound, which is always true, makes
    it expect few rows. Without either it reads the whole table (at 1,000,000 calls 0.35 s instead
    of 0.02 s, and growing).
#}
{% macro arrived_after_watermark(relation, clock='staged_at') -%}
    select arrived.*
    from watermarks
    cross join lateral (
        select *
        from {{ relation }} as candidates
        where
            candidates.project_id = watermarks.project_id
            and candidates.{{ clock }} > watermarks.{{ clock }}
            and candidates.{{ clock }} <= 'infinity'
        offset 0
    ) as arrived
{%- endmacro %}
