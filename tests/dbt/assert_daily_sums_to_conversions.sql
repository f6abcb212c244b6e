-- One dashboard shows the daily table and the fact table side by side: if a measure differs between
-- them, users trust neither.
--
-- Projects whose daily numbers wait for a build are left out: somebody builds beside this build, or
-- has just deleted a client's contacts.
with

waiting as (
    select read_until.project_id
    from {{ ref('int_conversions_daily') }} as read_until
    where
        read_until.conversion_date is null
        and (
            read_until.made_with is null
            or exists (
                select
                from {{ ref('int_contacts') }} as contacts
                where
                    contacts.project_id = read_until.project_id
                    and contacts.written_at > read_until.written_at
            )
        )
),

in_daily as (
    select
        project_id,
        sum(conversions) as conversions,
        sum(conversions_all) as conversions_all,
        sum(conversions_tagged) as conversions_tagged,
        sum(conversions_primary) as conversions_primary,
        sum(conversions_tagged_primary) as conversions_tagged_primary,
        sum(answered) as answered,
        sum(missed) as missed,
        sum(talk_seconds) as talk_seconds,
        sum(in_progress) as in_progress,
        sum(category_value) as category_value
    from {{ ref('rpt_conversions_daily') }}
    group by project_id
),

in_fact as (
    select
        project_id,
        sum(is_counted::int) as conversions,
        count(*) as conversions_all,
        sum(is_tagged::int) as conversions_tagged,
        sum(is_primary::int) as conversions_primary,
        sum((is_tagged and is_primary)::int) as conversions_tagged_primary,
        coalesce(sum(is_answered::int), 0) as answered,
        coalesce(sum(1 - is_answered::int), 0) as missed,
        coalesce(sum(talk_seconds), 0) as talk_seconds,
        sum((is_answered is null and conversion_type <> 'form')::int) as in_progress,
        coalesce(sum(category_value) filter (where is_counted), 0) as category_value
    from {{ ref('fct_conversions') }}
    group by project_id
)

select
    project_id,
    to_jsonb(in_daily) as in_daily,
    to_jsonb(in_fact) as in_fact
from in_daily
full join in_fact using (project_id)
where
    to_jsonb(in_daily) is distinct from to_jsonb(in_fact)
    and project_id not in (select waiting.project_id from waiting)
