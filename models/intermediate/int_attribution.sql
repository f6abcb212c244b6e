-- Where each distinct case came from, by the channels of today: one row a key and a stretch of days
-- on which the same static channel applies. Source, type and campaign are null where nothing tells:
-- what stands there instead is a var, and fct_conversions says it.
--
-- Only new keys are worked out, and all keys of a project whose channels were edited. Of those only
-- the ones that the edit moves are written, since writing is what costs: an edit in all projects at
-- 490,000 keys took 9 s when all of them were and takes 2 s now. What a project was `made_with` is
-- read from its newest keys, so these are always written.
--
-- At 1,000,000 calls the index on the key saves a week of all projects in fct_conversions 0.1 of
-- 0.15 s, and makes a stretch that is written twice an error; the one on loaded_at saves an ordinary
-- day 0.5 s.
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
            "string_agg(channels::text, ' ' order by channels.channel_id, channels::text)"
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

-- The days of a key that channels match fall into stretches: a new one begins where one of them
-- begins or ends.
first_days as (
    select
        project_id,
        attribution_key,
        '-infinity'::date as starts_on
    from matches
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

channelled as (
    select
        winners.project_id,
        winners.attribution_key,
        winners.starts_on,
        winners.ends_before,
        winners.channel_id,
        channels.traffic_source,
        channels.traffic_type,
        channels.campaign
    from winners
    left join channels
        on
            winners.project_id = channels.project_id
            and winners.channel_id = channels.channel_id
),

{% if is_incremental() %}
taken as (
    {{ watermarks('projects') }}
),

-- What was said so far of the keys that channels matched, in the projects that were edited.
channelled_before as (
    select
        as_it_was.project_id,
        as_it_was.attribution_key,
        as_it_was.starts_on,
        as_it_was.ends_before,
        as_it_was.channel_id,
        as_it_was.traffic_source,
        as_it_was.traffic_type,
        as_it_was.campaign
    from {{ this }} as as_it_was
    inner join watermarks
        on as_it_was.project_id = watermarks.project_id
    where as_it_was.channel_id is not null and watermarks.loaded_at = '-infinity'
),

moved as (
    select * from channelled
    where channel_id is not null
    except
    select * from channelled_before
),

moved_before as (
    select * from channelled_before
    except
    select * from channelled
),

keys_to_write as (
    select
        keys.project_id,
        keys.attribution_key
    from keys
    inner join taken
        on
            keys.project_id = taken.project_id
            and keys.loaded_at >= taken.loaded_at
    union
    select
        project_id,
        attribution_key
    from moved
    union
    select
        project_id,
        attribution_key
    from moved_before
),

written as (
    select keys.*
    from keys
    inner join keys_to_write
        on
            keys.project_id = keys_to_write.project_id
            and keys.attribution_key = keys_to_write.attribution_key
),
{% else %}
written as (
    select * from keys
),
{% endif %}

-- The steps of attribution, in their order: a channel, else a visit, else nothing is known.
final as (
    select
        written.project_id,
        written.attribution_key,
        -- A key that no channel matches has one stretch, all days.
        coalesce(channelled.starts_on, '-infinity') as starts_on,
        coalesce(channelled.ends_before, 'infinity') as ends_before,

        case
            when channelled.channel_id is not null then channelled.traffic_source
            when written.has_visit then {{ utm_label('written.utm_source') }}
        end as traffic_source,
        case
            when channelled.channel_id is not null then channelled.traffic_type
            when written.has_visit then {{ utm_label('written.utm_medium') }}
        end as traffic_type,
        case
            when channelled.channel_id is not null then channelled.campaign
            when written.has_visit then {{ utm_label('written.utm_campaign') }}
        end as campaign,
        case
            when channelled.channel_id is not null then 'static_channel'
            when written.has_visit then 'utm'
            else 'unknown'
        end as attribution_method,
        case
            when channelled.channel_id is not null or written.has_visit then null
            when {{ is_blank('written.pool_name') }} then 'no_pool'
            else 'unmapped_pool'
        end as unknown_reason,
        channelled.channel_id,

        written.pool_name,
        written.utm_source,
        written.utm_medium,
        written.utm_campaign,
        written.utm_content,
        written.utm_term,

        written.loaded_at,
        projects.made_with
    from written
    inner join projects
        on written.project_id = projects.project_id
    left join channelled
        on
            written.project_id = channelled.project_id
            and written.attribution_key = channelled.attribution_key
)

select * from final
