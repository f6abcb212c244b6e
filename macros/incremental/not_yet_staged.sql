{#
    The rows of a raw table that the staging model does not hold as they are.

    The loader commits a project's rows in order of `loaded_at`, so only those of the project's newest
    `loaded_at` and later are looked at. That moment itself is included: rows of one moment may come
    by two commits. A project's newest `loaded_at` is among its rows that were staged last.

    Written so that a run costs what has arrived and not what is there: see
    `arrived_after_watermark`.
#}
{% macro not_yet_staged(raw, key) -%}
    select arrived.*
    from ({{ distinct_projects(raw) }}) as projects
    left join lateral (
        select taken.loaded_at
        from {{ this }} as taken
        where taken.project_id = projects.project_id
        order by taken.staged_at desc, taken.loaded_at desc
        limit 1
    ) as newest
        on true
    cross join lateral (
        select *
        from {{ raw }} as candidates
        where
            candidates.project_id = projects.project_id
            and candidates.loaded_at >= coalesce(newest.loaded_at, '-infinity')
            and candidates.loaded_at <= 'infinity'
            and not exists (
                select
                from {{ this }} as staged
                where
                    staged.project_id = candidates.project_id
                    and staged.{{ key }} = candidates.{{ key }}
                    and staged.loaded_at = candidates.loaded_at
            )
        offset 0
    ) as arrived
{%- endmacro %}
