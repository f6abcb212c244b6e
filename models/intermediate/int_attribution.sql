-- Where each distinct case came from, by the channels of today: one row a key and a stretch of days
-- on which the same static channel applies. Source, type and campaign are null where nothing tells:
-- what stands there instead is a var, and fct_conversions says it.
--
-- Only new keys are worked out, and all keys of a project whose channels were edited. Of those only
-- the ones that the edit moves are written, since writing is what costs: an edit in all projects at
-- 490,000 keys took 9 s when all of them were and takes 2 s now. What a project was `made_with` is
-- read from its newest keys, so these are always written.
--
-- The indexes, by what they save at 1,000,000 calls: the key 0.1 of 0.15 s for a week of all
-- projects in fct_conversions (and a stretch that is written twice is an error), staged_at 0.5 s of
-- an ordinary day.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'attribution_key'],
        incremental_strategy='delete+insert',
        on_schema_change='fail',
        indexes=[
            {'columns': ['project_id', 'attribution_key', 'starts_on'], 'unique': true},
            {'columns': ['project_id', 'staged_at']},
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
            "string_agg(to_jsonb(channels)::text, ' ' order by channels.channel_id)"
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

channel_stretches as (
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
channel_stretches_before as (
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
    where as_it_was.channel_id is not null and watermarks.staged_at = '-infinity'
),

-- Of the keys of edited projects, those of which channels say something else now, or no longer.
moved as (
    (
        select * from channel_stretches
        where channel_id is not null
        except
        select * from channel_stretches_before
    )
    union all
    (
        select * from channel_stretches_before
        except
        select * from channel_stretches
    )
),

-- The newest of the keys that are taken are among them, for what they are made with.
new_and_moved as (
    select
        keys.project_id,
        keys.attribution_key
    from keys
    inner join taken
        on
            keys.project_id = taken.project_id
            and keys.staged_at >= taken.staged_at
    union
    select
        project_id,
        attribution_key
    from moved
),

to_write as (
    select keys.*
    from keys
    inner join new_and_moved
        on
            keys.project_id = new_and_moved.project_id
            and keys.attribution_key = new_and_moved.attribution_key
),
{% else %}
to_write as (
    select * from keys
),
{% endif %}

-- The steps of attribution, in their order: a channel, else a visit, else nothing is known.
final as (
    select
        to_write.project_id,
        to_write.attribution_key,
        -- A key that no channel matches has one stretch, all days.
        coalesce(channel_stretches.starts_on, '-infinity') as starts_on,
        coalesce(channel_stretches.ends_before, 'infinity') as ends_before,

        case
            when channel_stretches.channel_id is not null then channel_stretches.traffic_source
            when to_write.has_visit then {{ utm_label('to_write.utm_source') }}
        end as traffic_source,
        case
            when channel_stretches.channel_id is not null then channel_stretches.traffic_type
            when to_write.has_visit then {{ utm_label('to_write.utm_medium') }}
        end as traffic_type,
        case
            when channel_stretches.channel_id is not null then channel_stretches.campaign
            when to_write.has_visit then {{ utm_label('to_write.utm_campaign') }}
        end as campaign,
        case
            when channel_stretches.channel_id is not null then 'static_channel'
            when to_write.has_visit then 'utm'
            else 'unknown'
        end as attribution_method,
        case
            when channel_stretches.channel_id is not null or to_write.has_visit then null
            when {{ is_blank('to_write.pool_name') }} then 'no_pool'
            else 'unmapped_pool'
        end as unknown_reason,
        channel_stretches.channel_id,

        to_write.pool_name,
        to_write.utm_source,
        to_write.utm_medium,
        to_write.utm_campaign,
        to_write.utm_content,
        to_write.utm_term,

        to_write.staged_at,
        projects.made_with
    from to_write
    inner join projects
        on to_write.project_id = projects.project_id
    left join channel_stretches
        on
            to_write.project_id = channel_stretches.project_id
            and to_write.attribution_key = channel_stretches.attribution_key
)

select * from final
