{#
    The rows of a raw table that are new or changed since they were staged.

    The loader commits a project's rows in order of `loaded_at`, so only rows of the project's
    newest staged `loaded_at` and later are compared. That moment itself is included: two commits
    may write rows of one moment. A project's newest `loaded_at` is among the rows that were staged
    last.

    The cost of a run depends on the rows that have arrived, not on the size of the table: see
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
