-- Every contact of a listed project: its day, whether it is a conversion, a leg of one or neither,
-- and whether it is its caller's first. A conversion has what its legs add to it.
--
-- Incremental, because reading all history is expensive (8 s for 1,000,000 calls, 0.3 s for those
-- of an ordinary day). A changed request is computed with all requests of its caller, because after
-- an earlier one that arrives late the next one is no longer the first, or is a leg. Other contacts
-- are computed alone: the caller of an outgoing call is an extension, and reading all its calls
-- took 0.9 s of an ordinary day at 1,000,000 calls and 3.7 s at 4,000,000.
--
-- `made_with` identifies the settings that a row depends on besides the raw rows. If the newest row
-- of a project was made with other settings than the present ones, the next run computes the whole
-- project: a changed time zone or primary rule needs no full refresh. Contacts that are not
-- conversions are kept and marked, so that a contact that becomes one, or stops being one, is an
-- update. A row made with another salt is an update too: the key contact_id does not depend on the
-- salt, while conversion_id may.
--
-- Salted values are stored, not computed in a view: a role that may read the view needs no right to
-- read the salt.
--
-- What the indexes save at 1,000,000 calls: contact_id 0.8 s and staged_at 0.6 s of an ordinary
-- day, conversion_date 0.1 of 0.16 s for a week of all projects in fct_conversions. By written_at
-- and conversion_date int_conversions_daily finds the days that changed and their conversions, by
-- attribution_key the conversions that an edited channel moves. By caller_digits int_duplicates
-- finds the same caller in other projects.
--
-- depends_on: {{ ref('int_attribution') }}
-- depends_on: {{ ref('int_tags') }}
-- (so that no conversion reaches the marts before its labels)
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'contact_id'],
        indexes=[
            {'columns': ['project_id', 'contact_id'], 'unique': true},
            {'columns': ['project_id', 'staged_at']},
            {'columns': ['project_id', 'written_at']},
            {'columns': ['conversion_date', 'project_id']},
            {'columns': ['project_id', 'attribution_key']},
            {'columns': ['caller_digits', 'occurred_at']},
        ],
        pre_hook="{{ require_caller_salt(source('ringostat', 'settings')) }}",
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

with

contacts as{{ spread() }} (
    select * from {{ ref('int_calls_and_forms') }}
),

-- Materialized: `made_with` is worked out once for each project, not for each contact.
projects as{{ spread() or ' materialized' }} (
    select
        project_id,
        time_zone,
        {{ surrogate_key([
            'time_zone',
            dbt.string_literal(var('ringostat_excluded_call_types') | join(',')),
            dbt.string_literal(var('ringostat_transfer_seconds') | string),
            dbt.string_literal(var('ringostat_primary_rule')),
            dbt.string_literal(var('ringostat_primary_window_days') | string),
            caller_salt(),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }}
),

{% if is_incremental() %}
watermarks as{{ spread() }} (
    {{ watermarks('projects', made_with='made_with') }}
),

changed as{{ spread() }} (
    {{ arrived_after_watermark(ref('int_calls_and_forms')) }}
),

-- The callers of the changed conversions, before and after the change.
callers as (
    select
        project_id,
        caller_digits
    from changed
    where caller_digits is not null and {{ is_request('call_type', 'is_removed') }}
    union
    select
        as_it_was.project_id,
        as_it_was.caller_digits
    from changed
    inner join {{ this }} as as_it_was
        on
            changed.project_id = as_it_was.project_id
            and changed.contact_id = as_it_was.contact_id
    where
        as_it_was.caller_digits is not null
        and (as_it_was.is_conversion or as_it_was.is_leg)
),

selected as (
    select of_caller.*
    from callers
    cross join
        lateral (
            -- `offset 0` drops no row: it makes Postgres look up caller by caller.
            select contacts.*
            from contacts
            where
                contacts.project_id = callers.project_id
                and contacts.caller_digits = callers.caller_digits
                and {{ is_request('contacts.call_type', 'contacts.is_removed') }}
            offset 0
        ) as of_caller
    union all
    select * from changed
    where caller_digits is null or not ({{ is_request('call_type', 'is_removed') }})
),
{% else %}
selected as (
    select * from contacts
),
{% endif %}

-- `is_call`, `is_transfer` and `text_id` are columns so that the windows share one sort.
dated as (
    select
        selected.*,
        projects.made_with,
        (selected.occurred_at at time zone projects.time_zone)::date as conversion_date,
        {{ is_request('selected.call_type', 'selected.is_removed') }} as is_request,
        {{ is_request('selected.call_type', 'selected.is_removed') }}
        and selected.conversion_type <> 'form' as is_call,
        coalesce(selected.call_type = 'transitin', false) as is_transfer,
        selected.contact_id collate "C" as text_id -- noqa: RF02
    from selected
    inner join projects on selected.project_id = projects.project_id
),

-- A call comes before its legs, even if they begin in the same second. Windows find the legs, not
-- joins: what a window costs does not depend on how many legs Postgres expects.
after_calls as (
    select
        *,
        lag(occurred_at) over in_order as previous_call_at
    from dated
    window in_order as (
        partition by project_id, caller_digits, is_call
        order by occurred_at, is_transfer, text_id
    )
),

with_legs as (
    select
        *,
        is_call and {{ is_leg(
            'call_type', 'caller_digits', 'occurred_at', 'previous_call_at'
        ) }} as is_leg
    from after_calls
),

numbered as (
    select
        *,
        is_leg or coalesce(lead(is_leg) over in_order, false) as has_legs,
        count(*) filter (where not is_leg) over in_order as request_number
    from with_legs
    window in_order as (
        partition by project_id, caller_digits, is_call
        order by occurred_at, is_transfer, text_id
    )
),

requests as (
    select
        *,
        is_request and not is_leg as is_conversion,
        count(*) over request as legs,
        array_agg(disposition) filter (where has_legs) over request as dispositions,
        array_agg(tag_key) filter (where has_legs) over request as tag_keys,
        array_agg(category_number) filter (where has_legs) over request as category_numbers,
        {{ is_answered_request('is_answered', 'over request') }} as is_answered_request,
        sum(talk_seconds) over request as all_talk_seconds,
        max(loaded_at) over request as last_loaded_at
    from numbered
    window request as (
        partition by project_id, caller_digits, is_call, request_number
        order by occurred_at, is_transfer, text_id
        rows between unbounded preceding and unbounded following
    )
),

with_history as (
    select
        *,
        -- The earlier rows are in order of time, so the greatest is the previous one.
        max(occurred_at) filter (where is_conversion) over (
            partition by project_id, caller_digits
            order by occurred_at, text_id
            rows between unbounded preceding and 1 preceding
        ) as previous_at
    from requests
),

final as (
    select
        project_id,
        contact_id,
        project_id || case when conversion_type = 'form' then ':form:' else ':call:' end
        || {{ public_id('landed_id') }} as conversion_id,
        conversion_type,
        occurred_at,
        conversion_date,

        attribution_key,
        case
            when has_legs then {{ tag_key_of_request('tag_keys', 'category_numbers') }} else tag_key
        end as tag_key,
        -- Text, because dbt cannot write an array into the fixtures of unit tests.
        tag_keys::text as tag_keys,

        is_removed,
        is_removed and {{ is_request('call_type', 'false') }} as is_removed_request,
        is_leg,
        is_conversion,
        is_conversion and ({{ is_primary(
            'caller_digits', 'unique_call', 'call_counter', 'occurred_at', 'previous_at'
        ) }}) as is_primary,

        legs,
        case
            when has_legs then {{ disposition_of_request('dispositions') }} else disposition
        end as disposition,
        is_answered_request as is_answered,
        wait_seconds,
        all_talk_seconds::bigint as talk_seconds,

        caller_digits,
        {{ caller_key('caller_digits') }} as caller_key,

        first_loaded_at,
        last_loaded_at as loaded_at,
        staged_at,
        made_with
    from with_history
)

{% if is_incremental() -%}
{{ changed_rows('final') }}
{%- else -%}
select
    *,
    null::text as earlier_dates,
    {{ written_at() }} as written_at
from final
{%- endif %}
