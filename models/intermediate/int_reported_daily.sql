-- What rpt_conversions_daily said about past days at the end of each day. A row is added when its
-- numbers differ from those of the row before, so the newest row up to a day is what a report of
-- that day showed. Days that ended more than `ringostat_reported_days` ago are left out.
--
-- Nothing else knows what was reported. So the rows stay in a full refresh, and while projects.csv
-- does not list their project, as long as any call or form of it is there.
--
-- A run compares days on which contacts were written since the last run, and all days of a project
-- whose settings have changed or whose contacts were all written anew: some may be gone. Of several
-- runs on one day the last one counts: it computes the rows of its day again.
--
-- Each project has one row without a day. It says what the last run has read, and how things stood
-- after the last run of an earlier day: the reason of a change is found by comparison with that.
{{
    config(
        materialized='incremental',
        full_refresh=false,
        incremental_strategy='replace_parts',
        on_schema_change='append_new_columns',
        unique_key=[
            'project_id', 'conversion_date', 'conversion_type',
            'traffic_source', 'traffic_type', 'campaign', 'reported_on',
        ],
        indexes=[{'columns': ['project_id', 'conversion_date']}],
        post_hook="{{ delete_projects_missing_upstream(
            ref('stg_config__projects'),
            ref('stg_ringostat__calls'),
            ref('stg_ringostat__forms'),
        ) }}",
    )
}}

with

-- Not written to disk: each is looked up by its indexes.
daily as not materialized (
    select * from {{ ref('int_conversions_daily') }}
),

contacts as not materialized (
    select * from {{ ref('int_contacts') }}
),

{% if is_incremental() %}
known as (
    select * from {{ this }}
    where conversion_date is null
),

reported as (
    select * from {{ this }}
    where conversion_date is not null
),
{% else %}
known as (
    select
        null::bigint as project_id,
        null::date as reported_on,
        null::timestamptz as reported_at,
        null::timestamptz as written_at,
        null::uuid as made_with,
        null::date as earlier_on,
        null::timestamptz as earlier_at,
        null::uuid as earlier_made_with,
        null::date as oldest_day,
        null::date as earlier_oldest_day
    where false
),
{% endif %}

-- What has no labels yet is not said yet: these projects are read again.
unlabelled as (
    select distinct project_id
    from {{ ref('int_conversions_daily') }}
    where not has_labels
),

projects as{{ kept() }} (
    select
        projects.project_id,
        projects.kpi_mode,
        greatest((now() at time zone projects.time_zone)::date, known.reported_on) as reported_on,
        known.reported_on as last_reported_on,
        known.reported_at as last_reported_at,
        known.made_with as last_made_with,
        known.earlier_on,
        known.earlier_at,
        known.earlier_made_with,
        known.oldest_day as last_oldest_day,
        known.earlier_oldest_day,
        known.written_at as read_until,
        coalesce(
            (
                select contacts.written_at
                from contacts
                where contacts.project_id = projects.project_id
                order by contacts.written_at asc
                limit 1
            ) > known.written_at,
            true
        ) as is_written_anew,
        case when unlabelled.project_id is null then daily.written_at else known.written_at end
            as written_at,
        {{ surrogate_key([
            'daily.made_with',
            'daily.labels_made_with',
            newest('made_with', 'contacts', ['written_at']),
            'projects.kpi_mode',
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
    inner join daily
        on projects.project_id = daily.project_id and daily.conversion_date is null
    left join known
        on projects.project_id = known.project_id
    left join unlabelled
        on projects.project_id = unlabelled.project_id
    where {{ var('ringostat_reported_days') }} > 0
),

-- The run of an earlier day that this one is compared with, if there was one.
compared as{{ kept() }} (
    select
        *,
        reported_on - {{ var('ringostat_reported_days') }} as oldest_day,
        case when last_reported_on < reported_on then last_reported_on else earlier_on end
            as previous_on,
        case when last_reported_on < reported_on then last_reported_at else earlier_at end
            as previous_at,
        case when last_reported_on < reported_on then last_made_with else earlier_made_with end
            as previous_made_with,
        case when last_reported_on < reported_on then last_oldest_day else earlier_oldest_day end
            as previous_oldest_day
    from projects
),

watermarks as (
    select
        project_id,
        coalesce(read_until, '-infinity') as written_at
    from compared
    where made_with = last_made_with
),

written as{{ spread() }} (
    {{ arrived_after_watermark('contacts', clock='written_at') }}
),

days as{{ kept() }} (
    select
        written.project_id,
        written.conversion_date
    from (
        {{ days_of_written_contacts() }}
    ) as written
    inner join compared
        on
            written.project_id = compared.project_id
            and written.conversion_date >= compared.oldest_day
            and written.conversion_date < compared.reported_on
    union
    -- Days that have ended since, or all days.
    select
        compared.project_id,
        ended.day::date as conversion_date
    from compared
    -- Without a time zone: some have no midnight on the day on which their clocks change.
    cross join lateral generate_series(
        case
            when
                compared.made_with = compared.last_made_with
                and not compared.is_written_anew
                and compared.oldest_day >= compared.last_oldest_day
                then greatest(compared.last_reported_on, compared.oldest_day)
            else compared.oldest_day
        end::timestamp,
        (compared.reported_on - 1)::timestamp,
        interval '1 day'
    ) as ended (day)
),

-- `offset 0` makes Postgres look up day by day.
said_now as{{ kept() }} (
    select of_day.*
    from days
    inner join compared on days.project_id = compared.project_id
    cross join
        lateral (
            select
                daily.project_id,
                daily.conversion_date,
                daily.conversion_type,
                daily.traffic_source,
                daily.traffic_type,
                daily.campaign,
                {{ of_kpi_mode('compared.kpi_mode', 'daily.conversions') }} as conversions,
                daily.conversions_all,
                daily.conversions_tagged,
                daily.conversions_primary,
                daily.conversions_tagged_primary
            from daily
            where
                daily.project_id = days.project_id
                and daily.conversion_date = days.conversion_date
                and daily.has_labels
            offset 0
        ) as of_day
),

{% if is_incremental() %}
said_on_all_days as{{ kept() }} (
    select of_day.*
    from days
    inner join compared on days.project_id = compared.project_id
    cross join
        lateral (
            select reported.*
            from reported
            where
                reported.project_id = days.project_id
                and reported.conversion_date = days.conversion_date
                and reported.reported_on < compared.reported_on
            offset 0
        ) as of_day
),

said_before as (
    select distinct on (
        project_id, conversion_date, conversion_type, traffic_source, traffic_type, campaign
    ) *
    from said_on_all_days
    order by
        project_id asc,
        conversion_date asc,
        conversion_type asc,
        traffic_source asc,
        traffic_type asc,
        campaign asc,
        reported_on desc
),
{% else %}
said_before as (
    select * from said_now
    where false
),
{% endif %}

latest as (
    select * from said_before
    where conversions_all > 0
),

-- What is no longer said has 0 conversions.
differing as{{ kept() }} (
    select
        coalesce(said_now.project_id, latest.project_id) as project_id,
        coalesce(said_now.conversion_date, latest.conversion_date) as conversion_date,
        coalesce(said_now.conversion_type, latest.conversion_type) as conversion_type,
        coalesce(said_now.traffic_source, latest.traffic_source) as traffic_source,
        coalesce(said_now.traffic_type, latest.traffic_type) as traffic_type,
        coalesce(said_now.campaign, latest.campaign) as campaign,
        coalesce(said_now.conversions, 0) as conversions,
        coalesce(said_now.conversions_all, 0) as conversions_all,
        coalesce(said_now.conversions_tagged, 0) as conversions_tagged,
        coalesce(said_now.conversions_primary, 0) as conversions_primary,
        coalesce(said_now.conversions_tagged_primary, 0) as conversions_tagged_primary
    from said_now
    full outer join latest
        on
            said_now.project_id = latest.project_id
            and said_now.conversion_date = latest.conversion_date
            and said_now.conversion_type = latest.conversion_type
            and said_now.traffic_source = latest.traffic_source
            and said_now.traffic_type = latest.traffic_type
            and said_now.campaign = latest.campaign
    where
        row(
            said_now.conversions,
            said_now.conversions_all,
            said_now.conversions_tagged,
            said_now.conversions_primary,
            said_now.conversions_tagged_primary
        )
        is distinct from
        row(
            latest.conversions,
            latest.conversions_all,
            latest.conversions_tagged,
            latest.conversions_primary,
            latest.conversions_tagged_primary
        )
),

differing_days as (
    select distinct
        project_id,
        conversion_date
    from differing
),

-- Of projects whose settings have changed: days with a request that was loaded since.
days_with_calls as{{ kept() }} (
    select
        differing_days.project_id,
        differing_days.conversion_date
    from differing_days
    inner join compared on differing_days.project_id = compared.project_id
    where
        compared.made_with <> compared.previous_made_with
        and exists (
            select
            from contacts
            where
                contacts.project_id = differing_days.project_id
                and contacts.conversion_date = differing_days.conversion_date
                and contacts.loaded_at > compared.previous_at
                and (contacts.is_conversion or contacts.is_leg or contacts.is_removed_request)
        )
),

-- Without a reason: the first report of that day.
with_reasons as{{ kept() }} (
    select
        differing.*,
        compared.reported_on,
        compared.kpi_mode,
        case
            when
                compared.previous_on is null
                or differing.conversion_date >= compared.previous_on
                or differing.conversion_date < compared.previous_oldest_day
                then null
            -- Null after a contact was deleted.
            when coalesce(compared.made_with = compared.previous_made_with, true) then 'calls'
            when days_with_calls.project_id is not null then 'both'
            else 'configuration'
        end as reason
    from differing
    inner join compared on differing.project_id = compared.project_id
    left join days_with_calls
        on
            differing.project_id = days_with_calls.project_id
            and differing.conversion_date = days_with_calls.conversion_date
),

to_say as{{ kept() }} (
    select
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        reported_on,
        kpi_mode,
        conversions,
        conversions_all,
        conversions_tagged,
        conversions_primary,
        conversions_tagged_primary,
        reason
    from with_reasons
    {% if is_incremental() -%}
    -- The rows that these days keep.
    union all
    select
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        reported_on,
        kpi_mode,
        conversions,
        conversions_all,
        conversions_tagged,
        conversions_primary,
        conversions_tagged_primary,
        reason
    from said_on_all_days
    -- The days whose rows are replaced.
    union all
    select
        project_id,
        conversion_date,
        null as conversion_type,
        null as traffic_source,
        null as traffic_type,
        null as campaign,
        null as reported_on,
        null as kpi_mode,
        null as conversions,
        null as conversions_all,
        null as conversions_tagged,
        null as conversions_primary,
        null as conversions_tagged_primary,
        null as reason
    from days
    {%- endif %}
),

final as (
    select
        to_say.*,
        null::timestamptz as reported_at,
        null::timestamptz as written_at,
        null::uuid as made_with,
        null::date as earlier_on,
        null::timestamptz as earlier_at,
        null::uuid as earlier_made_with,
        null::date as oldest_day,
        null::date as earlier_oldest_day
    from to_say
    union all
    select
        project_id,
        null as conversion_date,
        null as conversion_type,
        null as traffic_source,
        null as traffic_type,
        null as campaign,
        reported_on,
        kpi_mode,
        null as conversions,
        null as conversions_all,
        null as conversions_tagged,
        null as conversions_primary,
        null as conversions_tagged_primary,
        null as reason,
        now() as reported_at,
        written_at,
        made_with,
        previous_on as earlier_on,
        previous_at as earlier_at,
        previous_made_with as earlier_made_with,
        oldest_day,
        previous_oldest_day as earlier_oldest_day
    from compared
)

select * from final
