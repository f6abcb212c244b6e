with

conversions as (
    select
        conversions.*,
        projects.project_name
    from {{ ref('int_contacts') }} as conversions
    inner join {{ ref('stg_config__projects') }} as projects
        on conversions.project_id = projects.project_id
    where conversions.is_conversion and conversions.caller_digits is not null
),

-- What may count the same person again: other projects here, and other systems.
elsewhere as (
    select
        project_id,
        'ringostat' as other_system,
        conversion_id,
        occurred_at,
        caller_digits
    from conversions
    {% if var('ringostat_other_conversions') %}
    union all
    select
        null as project_id,
        system::text as other_system,
        conversion_id::text,
        occurred_at,
        {{ digits('phone') }} as caller_digits
    from {{ var('ringostat_other_conversions') }}
    {% endif %}
),

final as (
    select
        conversions.conversion_id,
        conversions.project_id,
        conversions.occurred_at,
        elsewhere.other_system,
        elsewhere.conversion_id as other_id,
        elsewhere.occurred_at as other_occurred_at,
        abs(extract(epoch from elsewhere.occurred_at - conversions.occurred_at))::bigint
            as seconds_apart,
        conversions.project_name
    from conversions
    inner join elsewhere
        on
            conversions.caller_digits = elsewhere.caller_digits
            and conversions.project_id is distinct from elsewhere.project_id
            and conversions.occurred_at
            between elsewhere.occurred_at
            - make_interval(mins => {{ var('ringostat_duplicate_minutes') }})
            and elsewhere.occurred_at
            + make_interval(mins => {{ var('ringostat_duplicate_minutes') }})
)

select * from final
