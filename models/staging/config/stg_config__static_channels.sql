with

static_channels as (
    select * from {{ ref('static_channels') }}
),

typed as (
    select
        -- The labels are no part of the key: a channel that is re-labelled stays the same channel.
        md5(
            concat_ws('|', project_id, parameter, parameter_value, coalesce(valid_from::text, ''))
        ) as channel_id,
        project_id,
        parameter,
        parameter_value,
        traffic_source,
        traffic_type,
        campaign,
        valid_from,
        valid_to
    from static_channels
)

select * from typed
