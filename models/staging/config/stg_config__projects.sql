with

projects as (
    select * from {{ ref('projects') }}
),

typed as (
    select
        project_id,
        coalesce(nullif(project_name, ''), project_id::text) as project_name,
        time_zone,
        {{ kpi_mode('kpi_mode') }} as kpi_mode,
        load_from,
        is_active
    from projects
)

select * from typed
