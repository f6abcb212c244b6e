-- What became of each missed conversion: whether the business called back, the client reached it
-- after all, or nobody spoke to anybody. A view, because it costs a run nothing: by the indexes of
-- staging the calls of each missed client are looked up.
with

missed as (
    select
        conversions.*,
        projects.project_name,
        projects.time_zone,
        conversions.occurred_at
        + make_interval(hours => {{ var('ringostat_call_back_hours') }}) as late_at
    from {{ ref('int_contacts') }} as conversions
    inner join {{ ref('stg_config__projects') }} as projects
        on conversions.project_id = projects.project_id
    where conversions.is_conversion and not conversions.is_answered
),

attribution as (
    select * from {{ ref('int_attribution') }}
),

loaded_until as (
    select * from {{ ref('int_loaded_until') }}
),

-- `offset 0` makes Postgres look up client by client instead of reading all calls.
answered as (
    select
        missed.*,
        call_back.occurred_at as first_call_back_at,
        retry.occurred_at as client_called_again_at
    from missed
    left join lateral (
        select outgoing.occurred_at
        from {{ ref('int_outgoing_calls') }} as outgoing
        where
            outgoing.project_id = missed.project_id
            and outgoing.dialled_digits = missed.caller_digits
            and outgoing.occurred_at > missed.occurred_at
            and outgoing.occurred_at <= missed.late_at
            and outgoing.talk_seconds >= {{ var('ringostat_call_back_seconds') }}
        order by outgoing.occurred_at
        limit
            1
            offset 0
    ) as call_back on true
    left join lateral (
        select later.call_at as occurred_at
        from {{ ref('stg_ringostat__calls') }} as later
        inner join {{ ref('int_contacts') }} as conversions
            on
                later.project_id = conversions.project_id
                and conversions.contact_id = 'call:' || later.call_id
        where
            later.project_id = missed.project_id
            and later.caller_digits = missed.caller_digits
            and later.call_at > missed.occurred_at
            and later.call_at <= missed.late_at
            and conversions.is_conversion
            and conversions.is_answered
        order by later.call_at
        limit
            1
            offset 0
    ) as retry on true
),

final as (
    select
        answered.conversion_id,
        answered.project_id,
        answered.project_name,
        answered.occurred_at,
        answered.conversion_date,
        extract(hour from answered.occurred_at at time zone answered.time_zone)::bigint
            as hour_of_day,
        {{ label_or_unknown('attribution') }},
        answered.first_call_back_at,
        round(extract(epoch from answered.first_call_back_at - answered.occurred_at) / 60, 1)
            as minutes_to_call_back,
        answered.client_called_again_at,
        -- Whatever came first. Nobody knows yet before the hours are over, or are loaded.
        case
            when answered.first_call_back_at <= answered.client_called_again_at then 'called_back'
            when answered.client_called_again_at is not null then 'client_reached_us'
            when answered.first_call_back_at is not null then 'called_back'
            when answered.late_at <= loaded_until.loaded_until then 'lost'
            else 'open'
        end as outcome
    from answered
    inner join attribution
        on
            answered.project_id = attribution.project_id
            and answered.attribution_key = attribution.attribution_key
            and answered.conversion_date >= attribution.starts_on
            and answered.conversion_date < attribution.ends_before
    left join loaded_until
        on answered.project_id = loaded_until.project_id
)

select * from final
