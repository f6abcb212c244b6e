-- Where each distinct case came from, by the present channels: one row per key and stretch of days
-- on which the same static channel applies. Source, type and campaign are null if they are unknown:
-- fct_conversions fills in the labels, which are vars.
--
-- A run computes new keys, and all keys of a project whose channels were edited. Of the latter it
-- writes only those that the edit moves, because writing is the expensive part: an edit in all
-- projects at 500,000 keys takes 1.4 s, and took 9 s when all keys were written.
--
-- What the indexes save at 1,000,000 calls: the key 0.1 of 0.15 s for a week of all projects in
-- fct_conversions (it also makes a duplicate stretch an error), staged_at 0.5 s of an ordinary day.
-- By labelled_at int_conversions_daily finds the keys that an edit has moved.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'attribution_key'],
        incremental_strategy='delete+insert',
        indexes=[
            {'columns': ['project_id', 'attribution_key', 'starts_on'], 'unique': true},
            {'columns': ['project_id', 'staged_at', 'attribution_key']},
            {'columns': ['project_id', 'labelled_at']},
        ],
        post_hook=[
            "{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
            "{{ key_statistics(['project_id', 'attribution_key']) }}",
        ],
    )
}}

with

channels as{{ spread() }} (
    select * from {{ ref('stg_config__static_channels') }}
),

projects as{{ spread() }} (
    select
        projects.project_id,
        {{ surrogate_key([
            "string_agg(to_jsonb(channels)::text, ' ' order by to_jsonb(channels)::text)"
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
    left join channels on projects.project_id = channels.project_id
    group by projects.project_id
),

{{ new_rows(
    'keys', ref('int_attribution_keys'), 'projects', newest='attribution_key', is_read_again=true
) }},

-- A channel matches a key if one parameter of the key equals its value exactly. There is one join
-- per parameter: parameters that no channel names cost nothing, and at 500,000 keys this takes 0.2
-- s, while one join that compares all parameters takes 3 s.
matched as (
    {% for parameter in static_channel_parameters() %}
    select
        {{ loop.index }} as precedence,
        keys.*,
        channels.channel_id,
        channels.traffic_source,
        channels.traffic_type,
        channels.campaign,
        channels.valid_from,
        channels.valid_to
    from keys
    inner join channels
        on
            keys.project_id = channels.project_id
            and keys.{{ parameter }} = channels.parameter_value
    where channels.parameter = '{{ parameter }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

matches as{{ kept() }} (
    select
        project_id,
        attribution_key,
        precedence,
        channel_id,
        {% for label in ('traffic_source', 'traffic_type', 'campaign') %}
        {{ channel_label(label) }} as {{ label }},
        {% endfor %}
        case
            when valid_from > valid_to then 'empty'
            else daterange(valid_from, valid_to, '[]')
        end as valid_days
    from matched
),

-- If two channels match on one day, the one whose parameter comes first wins: each channel has its
-- own days without those of the channels before it.
won as (
    select
        project_id,
        attribution_key,
        channel_id,
        traffic_source,
        traffic_type,
        campaign,
        datemultirange(valid_days) - coalesce(
            range_agg(valid_days) over (
                partition by project_id, attribution_key
                order by precedence, channel_id, traffic_source, traffic_type, campaign
                rows between unbounded preceding and 1 preceding
            ),
            '{}'
        ) as won_days
    from matches
),

channel_stretches as{{ kept() }} (
    select
        won.project_id,
        won.attribution_key,
        coalesce(lower(unnested.stretch), '-infinity') as starts_on,
        coalesce(upper(unnested.stretch), 'infinity') as ends_before,
        won.channel_id,
        won.traffic_source,
        won.traffic_type,
        won.campaign
    from won
    cross join lateral unnest(won.won_days) as unnested (stretch)
),

{{ new_and_moved('to_write', 'keys', 'channel_stretches', newest='attribution_key') }},

-- The days of a matched key on which no channel wins.
left_over as (
    select
        project_id,
        attribution_key,
        '{(,)}'::datemultirange - range_agg(valid_days) as free_days
    from matches
    group by project_id, attribution_key
),

stretches as{{ kept() }} (
    select * from channel_stretches
    union all
    select
        left_over.project_id,
        left_over.attribution_key,
        coalesce(lower(unnested.stretch), '-infinity') as starts_on,
        coalesce(upper(unnested.stretch), 'infinity') as ends_before,
        null as channel_id,
        null as traffic_source,
        null as traffic_type,
        null as campaign
    from left_over
    cross join lateral unnest(left_over.free_days) as unnested (stretch)
),

-- The steps of attribution in order: a channel, else a visit, else unknown. A key that no channel
-- matches has one stretch: all days.
attributed as (
    select
        coalesce(stretches.starts_on, '-infinity') as starts_on,
        coalesce(stretches.ends_before, 'infinity') as ends_before,
        stretches.channel_id,
        stretches.traffic_source,
        stretches.traffic_type,
        stretches.campaign,
        to_write.*,
        case
            when stretches.channel_id is not null then 'static_channel'
            when to_write.has_visit then 'utm'
            else 'unknown'
        end as attribution_method
    from to_write
    left join stretches
        on
            to_write.project_id = stretches.project_id
            and to_write.attribution_key = stretches.attribution_key
)

select
    attributed.project_id,
    attributed.attribution_key,
    attributed.starts_on,
    attributed.ends_before,

    case
        when attributed.attribution_method = 'static_channel'
            then attributed.traffic_source
        when attributed.attribution_method = 'utm' then {{ utm_label('attributed.utm_source') }}
    end as traffic_source,
    case
        when attributed.attribution_method = 'static_channel'
            then attributed.traffic_type
        when attributed.attribution_method = 'utm' then {{ utm_label('attributed.utm_medium') }}
    end as traffic_type,
    case
        when attributed.attribution_method = 'static_channel'
            then attributed.campaign
        when attributed.attribution_method = 'utm' then {{ utm_label('attributed.utm_campaign') }}
    end as campaign,
    attributed.attribution_method,
    case
        when attributed.attribution_method <> 'unknown' then null
        when {{ is_blank('attributed.pool_name') }} then 'no_pool'
        else 'unmapped_pool'
    end as unknown_reason,
    attributed.channel_id,

    attributed.pool_name,
    attributed.utm_source,
    attributed.utm_medium,
    attributed.utm_campaign,
    attributed.utm_content,
    attributed.utm_term,

    attributed.earlier_labels,
    coalesce(attributed.labelled_at, {{ written_at('labelled_at') }}) as labelled_at,
    attributed.staged_at,
    projects.made_with
from attributed
inner join projects
    on attributed.project_id = projects.project_id
