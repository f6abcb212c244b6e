-- Where each distinct case came from, by the configuration of today: one row a key and a stretch
-- of days on which the same static channel applies.
--
-- Only new keys are worked out, and all keys of a project whose channels were edited: each row
-- holds what it was `made_with`, and only rows made with the channels of today count as taken.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'attribution_key'],
        incremental_strategy='delete+insert',
        on_schema_change='fail',
        indexes=[
            {'columns': ['project_id', 'attribution_key', 'starts_on'], 'unique': true},
            {'columns': ['project_id', 'loaded_at']},
        ],
        post_hook=[
            "{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
            "{{ key_statistics(['project_id', 'attribution_key']) }}",
        ],
    )
}}

with

channels as (
    select
        *,
        coalesce(valid_from, '-infinity') as starts_on,
        coalesce(valid_to + 1, 'infinity') as ends_before
    from {{ ref('stg_config__static_channels') }}
),

projects as (
    select
        projects.project_id,
        {{ surrogate_key([
            "string_agg(channels::text, ' ' order by channels.channel_id, channels::text)",
            unknown_source(),
            unknown_type(),
            unknown_campaign(),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
    left join channels on projects.project_id = channels.project_id
    group by projects.project_id
),

{% if is_incremental() %}
watermarks as (
    {{ watermarks('projects', made_with='made_with') }}
),

keys as (
    {{ arrived_after_watermark(ref('int_attribution_keys')) }}
),
{% else %}
keys as (
    select * from {{ ref('int_attribution_keys') }}
),
{% endif %}

-- A channel matches a key where one parameter of the key equals its value exactly. A join for each
-- parameter: those that no channel names cost nothing, and at 500,000 keys this takes 0.2 s where
-- comparing all parameters in one join takes 3 s.
matches as (
    {% for parameter in static_channel_parameters() %}
    select
        keys.project_id,
        keys.attribution_key,
        {{ loop.index }} as precedence,
        channels.channel_id,
        channels.starts_on,
        channels.ends_before
    from keys
    inner join channels
        on
            keys.project_id = channels.project_id
            and keys.{{ parameter }} = channels.parameter_value
    where channels.parameter = '{{ parameter }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- A key's days fall into stretches: a new one begins where a channel that matches begins or ends.
first_days as (
    select
        project_id,
        attribution_key,
        '-infinity'::date as starts_on
    from keys
    union
    select
        project_id,
        attribution_key,
        starts_on
    from matches
    union
    select
        project_id,
        attribution_key,
        ends_before
    from matches
    where ends_before < 'infinity'
),

stretches as (
    select
        project_id,
        attribution_key,
        starts_on,
        lead(starts_on, 1, 'infinity'::date) over (
            partition by project_id, attribution_key order by starts_on
        ) as ends_before
    from first_days
),

-- Of the channels that apply on a stretch, the one whose parameter comes first wins.
winners as (
    select distinct on (stretches.project_id, stretches.attribution_key, stretches.starts_on)
        stretches.project_id,
        stretches.attribution_key,
        stretches.starts_on,
        stretches.ends_before,
        matches.channel_id
    from stretches
    left join matches
        on
            stretches.project_id = matches.project_id
            and stretches.attribution_key = matches.attribution_key
            and stretches.starts_on >= matches.starts_on
            and stretches.starts_on < matches.ends_before
    order by
        stretches.project_id,
        stretches.attribution_key,
        stretches.starts_on,
        matches.precedence,
        matches.channel_id
),

methods as (
    select
        winners.project_id,
        winners.attribution_key,
        winners.starts_on,
        winners.ends_before,
        winners.channel_id,
        -- The three steps of attribution, in their order.
        case
            when winners.channel_id is not null then 'static_channel'
            when keys.has_visit then 'utm'
            else 'unknown'
        end as attribution_method,
        keys.pool_name,
        keys.utm_source,
        keys.utm_medium,
        keys.utm_campaign,
        keys.utm_content,
        keys.utm_term,
        keys.loaded_at
    from winners
    inner join keys
        on
            winners.project_id = keys.project_id
            and winners.attribution_key = keys.attribution_key
),

labelled as (
    select
        methods.project_id,
        methods.attribution_key,
        methods.starts_on,
        methods.ends_before,

        case methods.attribution_method
            when 'static_channel' then channels.traffic_source
            when 'utm' then {{ utm_label('methods.utm_source') }}
            else {{ unknown_source() }}
        end as traffic_source,
        case methods.attribution_method
            when 'static_channel' then channels.traffic_type
            when 'utm' then {{ utm_label('methods.utm_medium') }}
            else {{ unknown_type() }}
        end as traffic_type,
        case methods.attribution_method
            when 'static_channel' then channels.campaign
            when 'utm' then {{ utm_label('methods.utm_campaign') }}
            else {{ unknown_campaign() }}
        end as campaign,
        methods.attribution_method,
        case
            when methods.attribution_method <> 'unknown' then null
            when {{ is_blank('methods.pool_name') }} then 'no_pool'
            else 'unmapped_pool'
        end as unknown_reason,
        methods.channel_id,

        methods.pool_name,
        methods.utm_source,
        methods.utm_medium,
        methods.utm_campaign,
        methods.utm_content,
        methods.utm_term,

        methods.loaded_at,
        projects.made_with
    from methods
    inner join projects
        on methods.project_id = projects.project_id
    left join channels
        on
            methods.project_id = channels.project_id
            and methods.channel_id = channels.channel_id
)

select * from labelled
