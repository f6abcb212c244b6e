-- Conversions per day by source, type and campaign, with the measures of every KPI mode: a switched
-- mode changes nothing here. Stored, because reading all conversions for each report is expensive.
--
-- A run computes the days on which contacts were written, and all days of a project whose channels,
-- tags or labels were edited (`made_with`). A day that has no conversions any more leaves a row
-- without measures, which reports do not read.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['project_id', 'conversion_date'],
        indexes=[
            {'columns': ['project_id', 'conversion_date']},
            {'columns': ['project_id', 'written_at']},
            {'columns': ['has_labels', 'project_id']},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

with

projects as (
    select
        projects.project_id,
        newest.written_at,
        {{ surrogate_key([
            'labels.made_with',
            'tags.made_with',
            unknown_source(),
            unknown_type(),
            unknown_campaign(),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
    left join lateral (
        select contacts.written_at
        from {{ ref('int_contacts') }} as contacts
        where contacts.project_id = projects.project_id
        order by contacts.written_at desc
        limit 1
    ) as newest on true
    left join lateral (
        select attribution.made_with
        from {{ ref('int_attribution') }} as attribution
        where attribution.project_id = projects.project_id
        order by attribution.staged_at desc, attribution.attribution_key desc
        limit 1
    ) as labels on true
    left join lateral (
        select noted.made_with
        from {{ ref('int_tags') }} as noted
        where noted.project_id = projects.project_id
        order by noted.staged_at desc
        limit 1
    ) as tags on true
),

{% if is_incremental() %}
{{ touched_days('projects', ref('int_contacts')) }},

-- Days with conversions that had no labels yet.
days as (
    select * from touched_days
    union
    select
        project_id,
        conversion_date
    from {{ this }}
    where not has_labels and project_id not in (select project_id from whole_projects)
),

-- `offset 0` makes Postgres look up project by project, and day by day.
conversions as (
    select of_project.*
    from whole_projects
    cross join
        lateral (
            select *
            from {{ ref('int_labelled_conversions') }} as conversions
            where conversions.project_id = whole_projects.project_id
            offset 0
        ) as of_project
    union all
    select of_day.*
    from days
    cross join
        lateral (
            select *
            from {{ ref('int_labelled_conversions') }} as conversions
            where
                conversions.project_id = days.project_id
                and conversions.conversion_date = days.conversion_date
            offset 0
        ) as of_day
),
{% else %}
conversions as (
    select * from {{ ref('int_labelled_conversions') }}
),
{% endif %}

daily as (
    select
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,

        {% for mode in kpi_modes() -%}
        {%- set counts = is_counted("'" ~ mode ~ "'", 'is_tagged', 'is_primary') -%}
        count(*) filter (where {{ counts }}) as conversions_{{ mode }},
        coalesce(sum(category_value) filter (where {{ counts }}), 0) as category_value_{{ mode }},
        {% endfor -%}

        count(*) filter (where is_answered) as answered,
        count(*) filter (where not is_answered) as missed,
        count(*) filter (where is_answered is null and conversion_type <> 'form') as in_progress,
        coalesce(sum(talk_seconds), 0)::bigint as talk_seconds,
        count(distinct caller_key) as unique_callers,

        has_labels
    from conversions
    group by
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        has_labels
),

{% if is_incremental() %}
-- Days whose stored rows are outdated and that have no conversions now.
emptied as (
    select
        project_id,
        conversion_date
    from days
    union
    select
        project_id,
        conversion_date
    from {{ this }}
    where project_id in (select project_id from whole_projects)
    except
    select
        project_id,
        conversion_date
    from daily
),

days_and_emptied as (
    select * from daily
    union all
    select
        emptied.*,
        null, null, null, null,
        0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        true
    from emptied
),
{% endif %}

final as (
    select
        daily.*,
        projects.written_at,
        projects.made_with
    from {{ 'days_and_emptied' if is_incremental() else 'daily' }} as daily
    inner join projects
        on daily.project_id = projects.project_id
)

select * from final
