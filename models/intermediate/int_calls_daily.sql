-- Calls per project and day: how many were loaded, and how many of them late. Stored, because
-- rpt_load_status and rpt_late_changes would else read all calls.
--
-- A run computes the days on which contacts were written, before or after the change, and all days
-- of a project that was computed with other settings. A day of forms alone has no calls, and a row:
-- the newest row of a project says up to which contact the project was read.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'conversion_date'],
        indexes=[
            {'columns': ['project_id', 'conversion_date'], 'unique': true},
            {'columns': ['project_id', 'written_at']},
        ],
        post_hook=[
            "{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
            "{{ delete_days_without_contacts() }}",
        ],
    )
}}

with

-- Not written to disk: read twice, or looked up by its indexes.
contacts as not materialized (
    select * from {{ ref('int_contacts') }}
),

projects as{{ spread() }} (
    select
        project_id,
        time_zone,
        {{ surrogate_key(['time_zone']) }} as made_with
    from {{ ref('stg_config__projects') }}
),

{% if is_incremental() %}
read_until as{{ spread() }} (
    {{ watermarks('projects', made_with='made_with', clock='written_at') }}
),

-- All days of a project whose contacts were all written again: some days may be gone.
watermarks as{{ spread() }} (
    select
        read_until.project_id,
        case
            when exists (
                select 1
                from {{ ref('int_contacts') }} as contacts
                where
                    contacts.project_id = read_until.project_id
                    and contacts.written_at <= read_until.written_at
            ) then read_until.written_at
            else '-infinity'
        end as written_at
    from read_until
),

written as{{ spread() }} (
    {{ arrived_after_watermark(ref('int_contacts'), clock='written_at') }}
),

known as{{ spread() }} (
    select * from {{ this }}
),

first_landed as (
    select
        project_id,
        first_loaded_at
    from written
    where conversion_type <> 'form'
    union all
    select
        known.project_id,
        known.first_loaded_at
    from known
    inner join watermarks
        on known.project_id = watermarks.project_id and watermarks.written_at > '-infinity'
),
{% else %}
first_landed as (
    select
        project_id,
        first_loaded_at
    from contacts
    where conversion_type <> 'form'
),
{% endif %}

first_loads as{{ kept() }} (
    select
        project_id,
        min(first_loaded_at) as project_loaded_at
    from first_landed
    group by project_id
),

{% if is_incremental() %}
days as{{ kept() }} (
    {{ days_of_written_contacts() }}
    union
    -- Days that may have no contacts any longer, and days that were final at another moment.
    select
        known.project_id,
        known.conversion_date
    from known
    inner join watermarks on known.project_id = watermarks.project_id
    left join first_loads on known.project_id = first_loads.project_id
    where
        watermarks.written_at = '-infinity'
        -- In brackets, because dbt-bouncer takes `from` and a name for a table.
        or known.project_loaded_at is distinct from (first_loads.project_loaded_at)
),

-- `offset 0` makes Postgres look up day by day.
contacts_of_days as{{ kept() }} (
    select
        days.project_id,
        days.conversion_date,
        of_day.conversion_type,
        of_day.is_conversion,
        of_day.is_removed,
        of_day.is_removed_request,
        of_day.occurred_at,
        of_day.first_loaded_at,
        of_day.loaded_at,
        of_day.written_at
    from days
    left join
        lateral (
            select contacts.*
            from contacts
            where
                contacts.project_id = days.project_id
                and contacts.conversion_date = days.conversion_date
            offset 0
        ) as of_day
        on true
),
{% else %}
contacts_of_days as (
    select
        project_id,
        conversion_date,
        conversion_type,
        is_conversion,
        is_removed,
        is_removed_request,
        occurred_at,
        first_loaded_at,
        loaded_at,
        written_at
    from contacts
),
{% endif %}

-- A day's numbers are final a day after it has ended. The history that the project's first load
-- brings was not reported before: its numbers are final a day after that load.
with_finality as (
    select
        contacts_of_days.*,
        first_loads.project_loaded_at,
        greatest(
            (contacts_of_days.conversion_date + 1)::timestamp at time zone projects.time_zone,
            first_loads.project_loaded_at
        ) + interval '24 hours' as final_at,
        contacts_of_days.conversion_type <> 'form' as is_call
    from contacts_of_days
    inner join projects
        on contacts_of_days.project_id = projects.project_id
    left join first_loads
        on contacts_of_days.project_id = first_loads.project_id
),

with_lateness as (
    select
        *,
        is_call and (is_conversion or is_removed_request) and loaded_at > final_at as is_late
    from with_finality
),

daily as (
    select
        project_id,
        conversion_date,
        count(*) filter (where is_call and not is_removed) as calls,
        min(occurred_at) filter (where is_call and not is_removed) as first_call_at,
        max(occurred_at) filter (where is_call and not is_removed) as last_call_at,
        count(*) filter (where is_late and first_loaded_at > final_at) as calls_added_late,
        count(*) filter (where is_late and first_loaded_at <= final_at) as calls_changed_late,
        max(loaded_at) filter (where is_late) as last_changed_at,
        min(first_loaded_at) filter (where is_call) as first_loaded_at,
        max(project_loaded_at) as project_loaded_at,
        max(written_at) as written_at
    from with_lateness
    group by project_id, conversion_date
),

final as (
    select
        daily.*,
        projects.made_with
    from daily
    inner join projects on daily.project_id = projects.project_id
)

select * from final
