-- Whether each number pool still works: is it silent for longer than chance explains, and does the
-- site still pass on the visits of its calls? Looks at the last 365 loaded days of each project.
--
-- A day on which nothing is loaded is not a silent day. A pool whose channels have all ended is not
-- reported: its billboard was taken down.
with

projects as (
    select
        projects.project_id,
        projects.project_name,
        projects.load_from,
        loaded_until.last_whole_day as last_day
    from {{ ref('stg_config__projects') }} as projects
    inner join {{ ref('int_loaded_until') }} as loaded_until
        on projects.project_id = loaded_until.project_id
),

calls as (
    select
        conversions.project_id,
        keys.pool_name,
        conversions.occurred_at,
        conversions.conversion_date,
        keys.has_visit,
        projects.last_day
    from {{ ref('int_contacts') }} as conversions
    inner join projects
        on conversions.project_id = projects.project_id
    inner join {{ ref('int_attribution_keys') }} as keys
        on
            conversions.project_id = keys.project_id
            and conversions.attribution_key = keys.attribution_key
    where
        conversions.is_conversion
        and conversions.conversion_type <> 'form'
        and conversions.conversion_date > projects.last_day - 365
        and not {{ is_blank('keys.pool_name') }}
),

pools as (
    select
        project_id,
        pool_name,
        count(*) as conversions,
        min(conversion_date) as first_day,
        max(conversion_date) as last_conversion_day,
        max(occurred_at) as last_conversion_at,
        array[
            {% for weekday in range(1, 8) -%}
            count(*) filter (where extract(isodow from conversion_date) = {{ weekday }})
            {{- ',' if not loop.last }}
            {% endfor %}
        ] as on_weekdays,
        count(*) filter (where conversion_date > last_day - 28) as calls_now,
        count(*) filter (where has_visit and conversion_date > last_day - 28) as visits_now,
        count(*) filter (
            where conversion_date > last_day - 56 and conversion_date <= last_day - 28
        ) as calls_before,
        count(*) filter (
            where has_visit and conversion_date > last_day - 56 and conversion_date <= last_day - 28
        ) as visits_before
    from calls
    group by project_id, pool_name
),

-- When the last channel of a pool ends.
channels as (
    select
        project_id,
        parameter_value as pool_name,
        max(coalesce(valid_to, 'infinity')) as valid_to
    from {{ ref('stg_config__static_channels') }}
    where parameter = 'pool_name'
    group by project_id, parameter_value
),

measured as (
    select
        pools.*,
        projects.project_name,
        projects.last_day,
        greatest(projects.last_day, pools.last_conversion_day) - pools.first_day + 1
            as days_observed,
        greatest(projects.last_day - pools.last_conversion_day, 0) as silent_days,
        case
            when projects.last_day > pools.last_conversion_day then {{ expected_in_silence(
                'pools.on_weekdays', 'pools.first_day', 'pools.last_conversion_day',
                'projects.last_day'
            ) }}
        end as expected,
        pools.first_day > projects.last_day - 28 and pools.first_day >= projects.load_from + 28
            as is_new,
        coalesce(channels.valid_to < projects.last_day, false) as has_ended
    from pools
    inner join projects
        on pools.project_id = projects.project_id
    left join channels
        on
            pools.project_id = channels.project_id
            and pools.pool_name = channels.pool_name
),

judged as (
    select
        *,
        round(exp(-coalesce(expected, 0)), 6) as silence_probability,
        case
            when has_ended then 'ok'
            when conversions < {{ var('ringostat_health_conversions') }} and is_new then 'new'
            when conversions < {{ var('ringostat_health_conversions') }} then 'too_few'
            when exp(-coalesce(expected, 0)) < {{ var('ringostat_health_probability') }}
                then 'silent'
            when
                calls_now >= {{ var('ringostat_health_conversions') }}
                and calls_before >= {{ var('ringostat_health_conversions') }}
                and {{ visits_dropped('visits_now', 'calls_now', 'visits_before', 'calls_before') }}
                then 'visits_dropped'
            when is_new then 'new'
            else 'ok'
        end as status
    from measured
),

final as (
    select
        project_id,
        project_name,
        pool_name,
        conversions,
        days_observed::bigint as days_observed,
        last_conversion_at,
        silent_days::bigint as silent_days,
        silence_probability,
        round(visits_now::numeric / nullif(calls_now, 0), 3) as visit_share,
        round(visits_before::numeric / nullif(calls_before, 0), 3) as visit_share_before,
        status,
        case
            when status = 'silent'
                then
                    'no conversion for ' || silent_days || ' days; about '
                    || round(expected, 1) || ' were expected: call its number, and check that'
                    || ' it is still shown. If it was taken down, set valid_to of its channel,'
                    || ' or add one that has ended'
            when status = 'visits_dropped'
                then
                    'the share of its calls with a visit fell from '
                    || round(100.0 * visits_before / nullif(calls_before, 0)) || ' % to '
                    || round(100.0 * visits_now / nullif(calls_now, 0))
                    || ' %: check that Ringostat''s script is on every page'
            when status = 'new'
                then
                    'first conversion on ' || to_char(first_day, 'YYYY-MM-DD')
                    || ': does it need a channel?'
            when status = 'too_few'
                then 'fewer than {{ var("ringostat_health_conversions") }} conversions'
        end as hint
    from judged
)

select * from final
