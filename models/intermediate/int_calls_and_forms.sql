-- Calls and forms with the same columns: every contact, including those that are not conversions.
-- The view has no `with`, because only then Postgres uses the indexes of its tables; otherwise an
-- incremental run reads a million rows to find those of one day.
select
    project_id,
    'call:' || call_id as contact_id,
    case when call_type = 'callback' then 'callback' else 'call' end as conversion_type,
    call_id as landed_id,
    call_at as occurred_at,
    removed_at is not null as is_removed,

    -- the call
    call_type,
    disposition,
    {{ is_answered('disposition') }} as is_answered,
    wait_seconds,
    talk_seconds,

    -- the caller
    caller_digits,
    unique_call,
    call_counter,

    -- where it came from
    attribution_key,
    n_alias,
    dst,
    pool_name,
    scheme_name,
    department,
    additional_number,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_content,
    utm_term,
    has_visit,

    -- what was noted on it
    tag_key,
    category_number,
    category_mark,
    disposition_normalised,
    proper_flag,
    employee_number,
    employee_mark,
    null::text as tag,

    -- when it was loaded
    first_loaded_at,
    loaded_at,
    staged_at
from {{ ref('stg_ringostat__calls') }}

union all

select
    project_id,
    'form:' || form_id as contact_id,
    'form' as conversion_type,
    form_id as landed_id,
    submitted_at as occurred_at,
    false as is_removed,

    -- the call
    null::text as call_type,
    null::text as disposition,
    null::boolean as is_answered,
    null::bigint as wait_seconds,
    null::bigint as talk_seconds,

    -- the caller
    caller_digits,
    null::boolean as unique_call,
    null::bigint as call_counter,

    -- where it came from
    attribution_key,
    null::text as n_alias,
    null::text as dst,
    pool_name,
    null::text as scheme_name,
    null::text as department,
    null::text as additional_number,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_content,
    utm_term,
    has_visit,

    -- what was noted on it
    tag_key,
    null::text as category_number,
    null::text as category_mark,
    null::text as disposition_normalised,
    null::text as proper_flag,
    null::text as employee_number,
    null::text as employee_mark,
    tag,

    -- when it was loaded
    first_loaded_at,
    loaded_at,
    staged_at
from {{ ref('stg_ringostat__forms') }}
