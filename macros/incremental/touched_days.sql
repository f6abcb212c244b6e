{#
    CTEs that say what an incremental model of days must compute again. It has the columns
    project_id, conversion_date, made_with and `written_at`, the newest contact that its run has seen.

    whole_projects  whatever was stored of them is made anew: a new project, one that was made with
                    other settings, or one all of whose contacts were written anew
    touched_days    of other projects: days on which a contact was written, before or after the change

    projects  a CTE with one row per project and made_with
    contacts  the relation int_contacts
#}
{% macro touched_days(projects, contacts) %}
read_until as (
    {{ watermarks(projects, made_with='made_with', clock='written_at') }}
),

whole_projects as (
    select project_id
    from read_until
    where not exists (
        select
        from {{ contacts }} as contacts
        where
            contacts.project_id = read_until.project_id
            and contacts.written_at <= read_until.written_at
    )
),

watermarks as (
    select * from read_until
    where project_id not in (select project_id from whole_projects)
),

written as (
    {{ arrived_after_watermark(contacts, clock='written_at') }}
),

touched_days as (
    select
        project_id,
        conversion_date
    from written
    union
    select
        project_id,
        unnest(earlier_dates::date[]) as conversion_date
    from written
)
{% endmacro %}
