with

conversions as not materialized (
    select
        conversions.*,
        projects.project_name
    from {{ ref('int_contacts') }} as conversions
    inner join {{ ref('stg_config__projects') }} as projects
        on conversions.project_id = projects.project_id
    where conversions.is_conversion and conversions.caller_digits is not null
),

pairs as (
    select * from {{ ref('int_duplicates') }}
    where project_id <> other_project_id
),

-- Each of the two is a duplicate of the other.
duplicates as{{ kept() }} (
    select
        project_id,
        contact_id,
        other_project_id,
        other_contact_id
    from pairs
    union all
    select
        other_project_id as project_id,
        other_contact_id as contact_id,
        project_id as other_project_id,
        contact_id as other_contact_id
    from pairs
),

found as{{ kept() }} (
    select
        conversions.conversion_id,
        conversions.project_id,
        conversions.occurred_at,
        conversions.caller_digits,
        conversions.project_name,
        duplicates.other_project_id,
        duplicates.other_contact_id
    from duplicates
    inner join conversions
        on
            duplicates.project_id = conversions.project_id
            and duplicates.contact_id = conversions.contact_id
),

in_other_projects as (
    select
        found.conversion_id,
        found.project_id,
        found.occurred_at,
        'ringostat' as other_system,
        elsewhere.conversion_id as other_id,
        elsewhere.occurred_at as other_occurred_at,
        found.project_name
    from found
    inner join conversions as elsewhere
        on
            found.other_project_id = elsewhere.project_id
            and found.other_contact_id = elsewhere.contact_id
            -- Either may have changed since the last build.
            and {{ may_be_duplicate('found', 'elsewhere') }}
),

{% if var('ringostat_other_conversions') %}
other_conversions as (
    select
        system::text as other_system,
        conversion_id::text,
        occurred_at,
        {{ digits('phone') }} as caller_digits
    from {{ var('ringostat_other_conversions') }}
),

in_other_systems as (
    select
        conversions.conversion_id,
        conversions.project_id,
        conversions.occurred_at,
        elsewhere.other_system,
        elsewhere.conversion_id as other_id,
        elsewhere.occurred_at as other_occurred_at,
        conversions.project_name
    from conversions
    inner join other_conversions as elsewhere
        on {{ may_be_duplicate('conversions', 'elsewhere') }}
),
{% endif %}

all_duplicates as (
    select * from in_other_projects
    {% if var('ringostat_other_conversions') %}
    union all
    select * from in_other_systems
    {% endif %}
),

final as (
    select
        conversion_id,
        project_id,
        occurred_at,
        other_system,
        other_id,
        other_occurred_at,
        abs(extract(epoch from other_occurred_at - occurred_at))::bigint as seconds_apart,
        project_name
    from all_duplicates
)

select * from final
