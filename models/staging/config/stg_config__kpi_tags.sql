with

kpi_tags as (
    select * from {{ ref('kpi_tags') }}
),

typed as (
    select
        project_id,
        parameter,
        case
            when parameter = 'disposition' then {{ normalised_disposition('parameter_value') }}
            else parameter_value
        end as parameter_value,
        tag
    from kpi_tags
)

select * from typed
