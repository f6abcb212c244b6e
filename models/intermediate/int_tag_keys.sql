-- Each distinct case of notes on contacts: the parameters that KPI tags match. Incremental, because
-- finding the cases among 1,000,000 calls takes 0.7 s, and among the calls of an ordinary day 0.15
-- s. There are few of them, 18,000 of 1,000,000 calls: an index on staged_at would save nothing.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'tag_key'],
        indexes=[
            {'columns': ['project_id', 'tag_key'], 'unique': true},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

{{ distinct_keys('tag_key', kpi_tag_parameters().values() | list) }}
