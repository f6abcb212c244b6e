-- Conversions per day of each static channel: dim_channels would else read all conversions.
--
-- What a run counts again, and what the one row of a project without a day says: see the macro
-- `conversions_to_count`. A row without a channel counts conversions that have no labels yet.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_parts',
        unique_key=[
            'project_id', 'conversion_date', 'conversion_type',
            'traffic_source', 'traffic_type', 'campaign', 'channel_id', 'has_labels',
        ],
        indexes=[
            {'columns': ['project_id', 'conversion_date']},
            {'columns': ['has_labels', 'project_id']},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

with

{{ conversions_to_count() }},

daily as (
    select
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        channel_id,
        count(*) as conversions,
        min(occurred_at) as first_conversion_at,
        max(occurred_at) as last_conversion_at,
        has_labels,
        null::timestamptz as written_at,
        null::timestamptz as labelled_at,
        null::uuid as labels_made_with,
        null::uuid as made_with
    from conversions
    where channel_id is not null or not has_labels
    group by
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        channel_id,
        has_labels
),

{{ what_is_counted() }},

final as (
    select * from daily
    union all
    select
        project_id,
        conversion_date,
        null as conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        null as channel_id,
        null as conversions,
        null as first_conversion_at,
        null as last_conversion_at,
        null as has_labels,
        written_at,
        labelled_at,
        labels_made_with,
        made_with
    from without_measures
)

select * from final
