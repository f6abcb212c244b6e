-- The last static channels that passed their tests: a table, like stg_config__projects.
--
-- depends_on: {{ ref('projects') }}
-- depends_on: {{ ref('kpi_tags') }}
-- depends_on: {{ ref('stg_config__channel_costs') }}
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'channel_id'],
        indexes=[{'columns': ['project_id', 'channel_id'], 'unique': true}],
    )
}}

with

static_channels as (
    {{ typed_seed('static_channels') }}
),

identified as (
    select
        -- The key includes neither the labels nor the DateStyle of the session: a channel with
        -- new labels is still the same channel.
        md5(
            concat_ws(
                '|',
                project_id,
                parameter,
                parameter_value,
                coalesce(to_char(valid_from, 'YYYY-MM-DD'), '')
            )
        ) as channel_id,
        *
    from static_channels
),

-- In a run without tests a channel may be listed twice: always take the same row.
final as (
    select distinct on (project_id, channel_id) *
    from identified
    order by project_id, channel_id, identified
)

select * from final
