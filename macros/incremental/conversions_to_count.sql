{#
    CTEs of the models that count conversions per day and label. `conversions` are those to count in
    this run: of the days on which contacts were written, before or after the change; all with labels
    that edited channels gave or took away; and all of a project that is new, whose contacts or labels
    were all written again, or whose tags or labels for the unknown were edited.

    The one row of a project that has no day says up to which contact (`written_at`) and which edit
    of channels (`labelled_at`) the project was read, and with which settings (`made_with`,
    `labels_made_with`).
#}
{% macro conversions_to_count() -%}
projects as{{ kept() }} (
    select
        projects.project_id,
        coalesce(
            {{ newest('written_at', ref('int_contacts'), ['written_at']) }}, '-infinity'
        ) as written_at,
        coalesce(
            {{ newest('labelled_at', ref('int_attribution'), ['labelled_at']) }}, '-infinity'
        ) as labelled_at,
        {{ surrogate_key([
            newest('made_with', ref('int_attribution'), ['staged_at', 'attribution_key']),
        ]) }} as labels_made_with,
        {{ surrogate_key([
            newest('made_with', ref('int_tags'), ['staged_at']),
            unknown_source(),
            unknown_type(),
            unknown_campaign(),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
),

{% if is_incremental() %}
-- `-infinity` if the project is to be computed whole.
read_until as{{ spread() }} (
    select
        projects.project_id,
        coalesce(known.written_at, '-infinity') as written_at,
        coalesce(known.labelled_at, '-infinity') as labelled_at
    from projects
    left join {{ this }} as known
        on
            projects.project_id = known.project_id
            and known.conversion_date is null
            and projects.made_with = known.made_with
),

compared as{{ kept() }} (
    select
        *,
        not exists (
            select
            from {{ ref('int_contacts') }} as contacts
            where
                contacts.project_id = read_until.project_id
                and contacts.written_at <= read_until.written_at
        )
        or not exists (
            select
            from {{ ref('int_attribution') }} as attribution
            where
                attribution.project_id = read_until.project_id
                and attribution.labelled_at <= read_until.labelled_at
        ) as is_whole
    from read_until
),

whole_projects as{{ spread() }} (
    select project_id from compared
    where is_whole
),

watermarks as{{ spread() }} (
    select * from compared
    where not is_whole
),

written as{{ spread() }} (
    {{ arrived_after_watermark(ref('int_contacts'), clock='written_at') }}
),

days as{{ kept() }} (
    {{ days_of_written_contacts() }}
    union
    -- Conversions that had no labels yet.
    select
        project_id,
        conversion_date
    from {{ this }}
    where not has_labels and project_id in (select watermarks.project_id from watermarks)
),

relabelled as{{ kept() }} (
    {{ arrived_after_watermark(ref('int_attribution'), clock='labelled_at') }}
),

-- What moved keys have for labels, and had. A new key moves nothing: its contacts are written too.
labels as{{ kept() }} (
    select
        relabelled.project_id,
        {{ label_or_unknown('relabelled') }}
    from relabelled
    where relabelled.earlier_labels is not null
    union
    select
        relabelled.project_id,
        coalesce(had.labels ->> 'traffic_source', {{ unknown_source() }}) as traffic_source,
        coalesce(had.labels ->> 'traffic_type', {{ unknown_type() }}) as traffic_type,
        coalesce(had.labels ->> 'campaign', {{ unknown_campaign() }}) as campaign
    from relabelled
    cross join lateral jsonb_array_elements(relabelled.earlier_labels::jsonb) as had (labels)
    where relabelled.earlier_labels is not null
),

projects_of_labels as (
    select distinct project_id from labels
),

-- Keys that may have such labels on some of their days.
keys as{{ kept() }} (
    select distinct
        of_project.project_id,
        of_project.attribution_key
    from projects_of_labels
    cross join
        lateral (
            select
                attribution.project_id,
                attribution.attribution_key,
                {{ label_or_unknown('attribution') }}
            from {{ ref('int_attribution') }} as attribution
            where attribution.project_id = projects_of_labels.project_id
            offset 0
        ) as of_project
    inner join labels
        on
            of_project.project_id = labels.project_id
            and of_project.campaign = labels.campaign
),

-- `offset 0` makes Postgres look up project by project, day by day, and key by key.
conversions as{{ kept() }} (
    select of_project.*
    from whole_projects
    cross join
        lateral (
            select conversions.*
            from {{ ref('int_labelled_conversions') }} as conversions
            where conversions.project_id = whole_projects.project_id
            offset 0
        ) as of_project
    union all
    select of_day.*
    from days
    cross join
        lateral (
            select conversions.*
            from {{ ref('int_labelled_conversions') }} as conversions
            where
                conversions.project_id = days.project_id
                and conversions.conversion_date = days.conversion_date
            offset 0
        ) as of_day
    -- Conversions with these labels come by their keys, below. What has no labels yet cannot.
    left join labels
        on {{ same_labels('of_day', 'labels') }} and of_day.attribution_method is not null
    where labels.project_id is null
    union all
    select of_key.*
    from keys
    cross join
        lateral (
            select conversions.*
            from {{ ref('int_labelled_conversions') }} as conversions
            where
                conversions.project_id = keys.project_id
                and conversions.attribution_key = keys.attribution_key
            offset 0
        ) as of_key
    inner join labels
        on {{ same_labels('of_key', 'labels') }}
)
{% else %}
conversions as{{ kept() }} (
    select * from {{ ref('int_labelled_conversions') }}
)
{% endif %}
{%- endmacro %}


{#
    CTE `without_measures`, for the strategy `replace_parts`: that row of each project and, in an
    incremental run, a row per day and per label to replace.
#}
{% macro what_is_counted() -%}
without_measures as (
    select
        projects.project_id,
        null::date as conversion_date,
        null as traffic_source,
        null as traffic_type,
        null as campaign,
        projects.written_at,
        projects.labelled_at,
        projects.labels_made_with,
        projects.made_with
    from projects
    {% if is_incremental() -%}
    left join {{ this }} as known
        on
            projects.project_id = known.project_id
            and known.conversion_date is null
            and projects.made_with = known.made_with
            and projects.labels_made_with = known.labels_made_with
            and projects.written_at = known.written_at
            and projects.labelled_at = known.labelled_at
    where known.project_id is null
    union all
    select
        to_replace.*,
        null as written_at,
        null as labelled_at,
        null as labels_made_with,
        null as made_with
    from (
        select
            project_id,
            conversion_date,
            null as traffic_source,
            null as traffic_type,
            null as campaign
        from days
        union all
        select distinct
            project_id,
            conversion_date,
            null as traffic_source,
            null as traffic_type,
            null as campaign
        from {{ this }}
        where
            conversion_date is not null
            and project_id in (select whole_projects.project_id from whole_projects)
        union all
        select
            project_id,
            null as conversion_date,
            traffic_source,
            traffic_type,
            campaign
        from labels
    ) as to_replace
    {%- endif %}
)
{%- endmacro %}
