-- Conversions per day by source, type and campaign, with the measures of every KPI mode: a switched
-- mode changes nothing here. Stored, because reading all conversions for each report is expensive.
--
-- What a run counts again, and what the one row of a project without a day says: see the macro
-- `conversions_to_count`.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_parts',
        unique_key=[
            'project_id', 'conversion_date', 'conversion_type',
            'traffic_source', 'traffic_type', 'campaign', 'has_labels',
        ],
        indexes=[
            {'columns': ['project_id', 'conversion_date']},
            {'columns': ['has_labels', 'project_id']},
        ],
        post_hook="{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
    )
}}

with

{{ conversions_to_count() }},

daily as (
    select
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,

        case
            when min(attribution_method) = max(attribution_method) then min(attribution_method)
            else 'mixed'
        end as attribution_method,

        {% for mode in kpi_modes() -%}
        {%- set counts = is_counted("'" ~ mode ~ "'", 'is_tagged', 'is_primary') -%}
        count(*) filter (where {{ counts }}) as conversions_{{ mode }},
        count(*) filter (where {{ counts }} and attribution_method = 'unknown')
            as conversions_unknown_{{ mode }},
        coalesce(sum(category_value) filter (where {{ counts }}), 0) as category_value_{{ mode }},
        {% endfor -%}

        count(*) filter (where is_answered) as answered,
        count(*) filter (where not is_answered) as missed,
        count(*) filter (where is_answered is null and conversion_type <> 'form') as in_progress,
        coalesce(sum(talk_seconds), 0)::bigint as talk_seconds,
        -- as many as keys, and shorter to sort
        count(distinct caller_digits) as unique_callers,

        has_labels,
        null::timestamptz as written_at,
        null::timestamptz as labelled_at,
        null::uuid as labels_made_with,
        null::uuid as made_with
    from conversions
    group by
        project_id,
        conversion_date,
        conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        has_labels
),

{{ what_is_counted() }},

final as (
    select * from daily
    union all
    select
        project_id,
        conversion_date,
        null as conversion_type,
        traffic_source,
        traffic_type,
        campaign,
        null as attribution_method,
        {% for mode in kpi_modes() -%}
        null as conversions_{{ mode }},
        null as conversions_unknown_{{ mode }},
        null as category_value_{{ mode }},
        {% endfor -%}
        null as answered,
        null as missed,
        null as in_progress,
        null as talk_seconds,
        null as unique_callers,
        null as has_labels,
        written_at,
        labelled_at,
        labels_made_with,
        made_with
    from without_measures
)

select * from final
