-- Where contacts came from, each distinct case once: the parameters that static channels match, and
-- whether a visit is known.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'attribution_key'],
        incremental_strategy='merge',
        on_schema_change='fail',
        indexes=[
            {'columns': ['project_id', 'attribution_key'], 'unique': true},
            {'columns': ['project_id', 'loaded_at']},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

{{ distinct_keys('attribution_key', static_channel_parameters() + ['has_visit']) }}
