-- The last projects that passed their tests: a table, replaced on each run. All models of the
-- configuration run after the tests of all CSVs, so that one faulty cell leaves all marts
-- unchanged.
--
-- depends_on: {{ ref('static_channels') }}
-- depends_on: {{ ref('kpi_tags') }}
-- depends_on: {{ ref('stg_config__channel_costs') }}
{{
    config(
        materialized='incremental',
        unique_key='project_id',
        indexes=[{'columns': ['project_id'], 'unique': true}],
    )
}}

with

projects as (
    {{ typed_seed('projects') }}
),

-- In a run without tests a project may be listed twice: always take the same row.
final as (
    select distinct on (project_id)
        project_id,
        project_name,
        time_zone,
        {{ kpi_mode('kpi_mode') }} as kpi_mode,
        load_from,
        is_active,
        coalesce(api_time_zone, time_zone) as api_time_zone
    from projects
    order by project_id, projects
)

select * from final
