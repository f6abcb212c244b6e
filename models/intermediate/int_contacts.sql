-- Every contact of a listed project: its day, whether it is a conversion, and whether it is its
-- caller's first. Incremental, because reading all history is expensive (7 s for 1,000,000 calls,
-- 0.3 s for those of an ordinary day). A changed conversion is computed with all conversions of its
-- caller, because after an earlier one that arrives late the next one is no longer the first. Other
-- contacts are computed alone: the caller of an outgoing call is an extension, and reading all its
-- calls took 0.9 s of an ordinary day at 1,000,000 calls and 3.7 s at 4,000,000.
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
-- day, conversion_date 0.1 of 0.16 s for a week of all projects in fct_conversions.
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
            {'columns': ['conversion_date']},
        ],
        pre_hook="{{ require_caller_salt(source('ringostat', 'settings')) }}",
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

with

contacts as (
    select * from {{ ref('int_calls_and_forms') }}
),

projects as (
    select
        project_id,
        time_zone,
        {{ surrogate_key([
            'time_zone',
            dbt.string_literal(var('ringostat_excluded_call_types') | join(',')),
            dbt.string_literal(var('ringostat_primary_rule')),
            dbt.string_literal(var('ringostat_primary_window_days') | string),
            caller_salt(),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }}
),

{% if is_incremental() %}
watermarks as (
    {{ watermarks('projects', made_with='made_with') }}
),

changed as (
    {{ arrived_after_watermark(ref('int_calls_and_forms')) }}
),

-- The callers of the changed conversions, before and after the change.
callers as (
    select
        project_id,
        caller_digits
    from changed
    where caller_digits is not null and {{ is_conversion('call_type', 'is_removed') }}
    union
    select
        as_it_was.project_id,
        as_it_was.caller_digits
    from changed
    inner join {{ this }} as as_it_was
        on
            changed.project_id = as_it_was.project_id
            and changed.contact_id = as_it_was.contact_id
    where as_it_was.caller_digits is not null and as_it_was.is_conversion
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
                and {{ is_conversion('contacts.call_type', 'contacts.is_removed') }}
            offset 0
        ) as of_caller
    union all
    select * from changed
    where caller_digits is null or not ({{ is_conversion('call_type', 'is_removed') }})
),
{% else %}
selected as (
    select * from contacts
),
{% endif %}

dated as (
    select
        selected.*,
        projects.made_with,
        (selected.occurred_at at time zone projects.time_zone)::date as conversion_date,
        {{ is_conversion('selected.call_type', 'selected.is_removed') }} as is_conversion
    from selected
    inner join projects on selected.project_id = projects.project_id
),

with_history as (
    select
        *,
        -- The earlier rows are in order of time, so the greatest is the previous one.
        max(occurred_at) filter (where is_conversion) over (
            partition by project_id, caller_digits
            order by occurred_at, contact_id collate "C"
            rows between unbounded preceding and 1 preceding
        ) as previous_at
    from dated
),

final as (
    select
        project_id,
        contact_id,
        project_id || case conversion_type when 'form' then ':form:' else ':call:' end
        || {{ public_id('landed_id') }} as conversion_id,
        conversion_type,
        occurred_at,
        conversion_date,

        attribution_key,
        tag_key,

        is_removed,
        is_conversion,
        is_conversion and ({{ is_primary(
            'caller_digits', 'unique_call', 'call_counter', 'occurred_at', 'previous_at'
        ) }}) as is_primary,

        disposition,
        is_answered,
        wait_seconds,
        talk_seconds,

        caller_digits,
        {{ caller_key('caller_digits') }} as caller_key,

        first_loaded_at,
        loaded_at,
        staged_at,
        made_with
    from with_history
)

select * from final
