-- Calls from a project to a client, one row per call: a transferred one counts once, and its talk
-- is that of all its legs. A view, by whose partitions Postgres looks up the calls to one number.
with

calls as (
    select * from {{ ref('stg_ringostat__calls') }}
    where dialled_digits is not null and removed_at is null
),

after_calls as (
    select
        *,
        lag(call_at) over in_order as previous_call_at
    from calls
    window in_order as (
        partition by project_id, dialled_digits
        order by call_at, (call_type = 'transitout'), call_id collate "C" -- noqa: RF02
    )
),

numbered as (
    select
        project_id,
        dialled_digits,
        call_at,
        talk_seconds,
        count(*) filter (
            where not {{ is_leg(
                'call_type', 'dialled_digits', 'call_at', 'previous_call_at', transfer='transitout'
            ) }}
        ) over in_order as call_number
    from after_calls
    window in_order as (
        partition by project_id, dialled_digits
        order by call_at, (call_type = 'transitout'), call_id collate "C" -- noqa: RF02
    )
),

final as (
    select
        project_id,
        dialled_digits,
        min(call_at) as occurred_at,
        coalesce(sum(talk_seconds), 0)::bigint as talk_seconds
    from numbered
    group by project_id, dialled_digits, call_number
)

select * from final
