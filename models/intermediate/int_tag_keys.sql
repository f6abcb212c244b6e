-- What was noted on contacts, each distinct case once: the parameters that KPI tags match.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'tag_key'],
        incremental_strategy='merge',
        on_schema_change='fail',
        indexes=[
            {'columns': ['project_id', 'tag_key'], 'unique': true},
            {'columns': ['project_id', 'loaded_at']},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

{{ distinct_keys('tag_key', kpi_tag_parameters().values() | list) }}
