-- Each conversion has exactly one source, type and campaign: if a stretch of days is missing, its
-- conversions vanish from every report; if two stretches overlap, their conversions count twice.
with

before_attribution as (
    select
        conversions.project_id,
        count(*) as conversions
    from {{ ref('int_contacts') }} as conversions
    inner join {{ ref('stg_config__projects') }} as projects
        on conversions.project_id = projects.project_id
    where conversions.is_conversion
    group by conversions.project_id
),

after_attribution as (
    select
        project_id,
        count(*) as conversions
    from {{ ref('fct_conversions') }}
    group by project_id
)

select
    before_attribution.project_id,
    before_attribution.conversions as conversions_before,
    after_attribution.conversions as conversions_after
from before_attribution
left join after_attribution
    on before_attribution.project_id = after_attribution.project_id
where before_attribution.conversions is distinct from after_attribution.conversions
