with

-- A filter by project or day reaches the table, because each of them is in the partition.
reported as (
    select
        *,
        lag(conversions) over before as conversions_before,
        lag(conversions_all) over before as conversions_all_before,
        lag(kpi_mode) over before as kpi_mode_before
    from {{ ref('rpt_reported_daily') }}
    window before as (
        partition by
            project_id, conversion_date,
            conversion_type, traffic_source, traffic_type, campaign
        order by reported_on
    )
),

final as (
    select
        reported_on as changed_on,
        conversion_date,
        project_id,
        project_name,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        coalesce(conversions_before, 0) as conversions_before,
        conversions as conversions_after,
        coalesce(conversions_all_before, 0) as conversions_all_before,
        conversions_all as conversions_all_after,
        kpi_mode_before,
        kpi_mode as kpi_mode_after,
        reason
    from reported
    where reason is not null
)

select * from final
