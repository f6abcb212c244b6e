with

conversions as (
    select * from {{ ref('int_labelled_conversions') }}
    where has_labels
),

projects as (
    select * from {{ ref('stg_config__projects') }}
),

calls as (
    select * from {{ ref('stg_ringostat__calls') }}
),

forms as (
    select * from {{ ref('stg_ringostat__forms') }}
),

final as (
    select
        conversions.conversion_id,
        conversions.project_id,
        projects.project_name,
        conversions.conversion_type,
        -- what follows `11111:call:` or `11111:form:`
        substr(conversions.conversion_id, length(conversions.project_id || ':call:') + 1)
            as source_id,
        conversions.occurred_at,
        conversions.conversion_date,

        -- where it came from
        conversions.traffic_source,
        conversions.traffic_type,
        conversions.campaign,
        conversions.attribution_method,
        conversions.unknown_reason,
        conversions.channel_id,
        conversions.pool_name,
        conversions.utm_source,
        conversions.utm_medium,
        conversions.utm_campaign,
        conversions.utm_content,
        conversions.utm_term,

        -- whether it counts
        conversions.is_tagged,
        conversions.is_primary,
        {{ is_counted('projects.kpi_mode', 'conversions.is_tagged', 'conversions.is_primary') }}
            as is_counted,
        conversions.tags,

        -- the call
        conversions.disposition,
        conversions.is_answered,
        conversions.wait_seconds,
        conversions.talk_seconds,

        conversions.caller_key,
        conversions.loaded_at,

        conversions.legs,
        conversions.category_number,
        conversions.category_value,

        -- when it was for the client
        conversions.occurred_at at time zone projects.time_zone as occurred_at_local,
        extract(hour from conversions.occurred_at at time zone projects.time_zone)::int
            as hour, -- noqa: RF04
        extract(isodow from conversions.occurred_at at time zone projects.time_zone)::int
            as weekday, -- noqa: RF04

        -- of the call itself: of a transferred one, not of its legs
        nullif(calls.call_type, '') as call_type,
        {{ number_dialled('calls.call_type', 'calls.dst') }} as number_dialled,
        calls.scheme_name,
        calls.department,
        {{ employee_number('calls.employee_number') }} as employee_number,
        {{ employee_name('calls.employee_name') }} as employee_name,

        -- the visit
        {{ of_visit('coalesce(calls.landing, forms.landing)') }} as landing,
        {{ of_visit('coalesce(calls.client_id, forms.client_id)') }} as client_id
    from conversions
    inner join projects
        on conversions.project_id = projects.project_id
    -- Postgres leaves these two out where nobody asks for their columns.
    left join calls
        on
            conversions.project_id = calls.project_id
            and substr(conversions.contact_id, length('call:') + 1) = calls.call_id
            and conversions.conversion_type <> 'form'
    left join forms
        on
            conversions.project_id = forms.project_id
            and substr(conversions.contact_id, length('form:') + 1) = forms.form_id
            and conversions.conversion_type = 'form'
)

select * from final
