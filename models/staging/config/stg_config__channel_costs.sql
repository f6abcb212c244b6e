-- The last costs of static channels that passed their tests: a table, like stg_config__projects.
--
-- depends_on: {{ ref('projects') }}
-- depends_on: {{ ref('static_channels') }}
-- depends_on: {{ ref('kpi_tags') }}
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'traffic_source', 'traffic_type', 'campaign', 'starts_on'],
    )
}}

with

channel_costs as (
    {{ typed_seed('channel_costs') }}
),

-- In a run without tests a cost may be listed twice: always take the same row.
final as (
    select distinct on (project_id, traffic_source, traffic_type, campaign, starts_on) *
    from channel_costs
    order by
        project_id,
        traffic_source,
        traffic_type,
        campaign,
        starts_on,
        channel_costs
)

select * from final
