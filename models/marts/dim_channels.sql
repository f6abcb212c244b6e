with

channels as (
    select * from {{ ref('stg_config__static_channels') }}
),

conversions as (
    select * from {{ ref('int_channels_daily') }}
    where has_labels
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

use_of_channels as (
    select
        project_id,
        channel_id,
        sum(conversions)::bigint as conversions,
        min(first_conversion_at) as first_conversion_at,
        max(last_conversion_at) as last_conversion_at
    from conversions
    group by project_id, channel_id
),

final as (
    select
        channels.channel_id,
        channels.project_id,
        channels.parameter,
        channels.parameter_value,
        channels.traffic_source,
        channels.traffic_type,
        channels.campaign,
        channels.valid_from,
        channels.valid_to,
        coalesce(use_of_channels.conversions, 0) as conversions,
        use_of_channels.first_conversion_at,
        use_of_channels.last_conversion_at,
        use_of_channels.conversions is not null as is_used,
        projects.project_name
    from channels
    left join projects
        on channels.project_id = projects.project_id
    left join use_of_channels
        on
            channels.project_id = use_of_channels.project_id
            and channels.channel_id = use_of_channels.channel_id
)

select * from final
