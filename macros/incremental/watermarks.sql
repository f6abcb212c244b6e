{#
    Up to where an incremental model has taken each project's rows: project_id, staged_at.

    The watermark is a moment of the clock that staging writes, not call time: edits arrive late, and
    call time would lose yesterday's re-tagged calls. It is each project's own: a project that is
    listed later begins at its beginning.

    projects   a relation with a row a project
    made_with  a column of it: where the model's newest row was made with something else, nothing of
               the project counts as taken. So each run has to write the newest rows of a project.
    newest     a column that tells the one newest of the rows of one moment: with it, that row alone
               has to be written. An output column too.
#}
{% macro watermarks(projects, made_with=none, newest=none) %}
    select
        projects.project_id,
        {{ 'newest.' ~ newest ~ ',' if newest }}
        coalesce(newest.staged_at, '-infinity') as staged_at
    from {{ projects }} as projects
    left join lateral (
        select *
        from {{ this }} as taken
        where taken.project_id = projects.project_id
        order by taken.staged_at desc{{ ', taken.' ~ newest ~ ' desc' if newest }}
        limit 1
    ) as newest
        on {{ 'newest.' ~ made_with ~ ' = projects.' ~ made_with if made_with else 'true' }}
{% endmacro %}


{#
    The rows of a relation that arrived after their project's watermark (CTE `watermarks`).

    Written so that a run costs what has arrived and not what is there: `offset 0` makes Postgres
    look up project by project, and the upper bound, which is always true, lets it expect few rows;
    without either it reads the whole table (at 1,000,000 calls 0.35 s and growing, not 0.02 s).
#}
{% macro arrived_after_watermark(relation) -%}
    select arrived.*
    from watermarks
    cross join lateral (
        select *
        from {{ relation }} as candidates
        where
            candidates.project_id = watermarks.project_id
            and candidates.staged_at > watermarks.staged_at
            and candidates.staged_at <= 'infinity'
        offset 0
    ) as arrived
{%- endmacro %}
