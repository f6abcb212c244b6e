with

suggestions as (
    select * from {{ ref('rpt_channel_suggestions') }}
),

final as (
    select
        project_id,
        pool_name,
        conversions,
        first_conversion_at,
        last_conversion_at,
        suggested_value,
        suggestion_reason,
        -- The columns of static_channels.csv in their order.
        string_agg(
            concat_ws(
                ',',
                project_id,
                'pool_name',
                {{ csv_value('pool_name') }},
                coalesce({{ csv_value('traffic_source') }}, ''),
                coalesce({{ csv_value('traffic_type') }}, ''),
                coalesce({{ csv_value('campaign') }}, ''),
                coalesce(to_char(valid_from, 'YYYY-MM-DD'), ''),
                coalesce(to_char(valid_to, 'YYYY-MM-DD'), '')
            ),
            E'\n' order by valid_from nulls first
        ) as seed_row,
        conversions_by_utm,
        is_dynamic,
        project_name
    from suggestions
    group by
        project_id,
        pool_name,
        conversions,
        first_conversion_at,
        last_conversion_at,
        suggested_value,
        suggestion_reason,
        conversions_by_utm,
        is_dynamic,
        project_name
)

select * from final
