-- The last KPI tags that passed their tests: a table, like stg_config__projects.
--
-- depends_on: {{ ref('projects') }}
-- depends_on: {{ ref('static_channels') }}
-- depends_on: {{ ref('stg_config__channel_costs') }}
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'parameter', 'parameter_value', 'tag'],
    )
}}

with

kpi_tags as (
    {{ typed_seed('kpi_tags') }}
),

final as (
    select distinct
        project_id,
        parameter,
        case
            when parameter = 'disposition' then {{ normalised_disposition('parameter_value') }}
            else parameter_value
        end as parameter_value,
        tag
    from kpi_tags
)

select * from final
