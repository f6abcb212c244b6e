-- Raw calls for the transformation part, made by Postgres itself: an agency of 300 projects with 9
-- calls a day each, 2,700 a day in all, 1.2 KB a call.
--
-- How often a key occurs decides what attribution costs, so it is drawn as it is met in practice,
-- where many things vary together (a call for a search word comes in on one of a pool's numbers and
-- is taken at one of the extensions). Of 100 calls
--   20  come in on one of 10 static pools, each with one number; the first pool has 5 of them
--    5  come in on numbers without a pool
--    8  go out, each to another number: no conversions, but keys of their own
--   67  come in on one of 8 numbers of a dynamic pool, from a visit: 37 from one of 12 search
--       campaigns with 10 words each (few of which bring most calls), 13 from a search engine,
--       10 directly, 7 from one of 3 campaigns on a social network
-- and three quarters of them are taken at one of 6 extensions. Every person calls twice or so within
-- a few days; 3 of 100 withhold their number. 7 of 100 incoming calls are transferred: these have a
-- second row, so there are a few more rows than calls.

create schema benchmark;


-- The calls `first` to `last`, counted from 0 over all projects, of those projects whose number is
-- `part` modulo `parts`; project by project, as a loader lands them. With fewer `projects` each has
-- more calls a day.
create function benchmark.calls(
    first bigint,
    last bigint,
    part integer default 0,
    parts integer default 1,
    projects integer default 300
)
returns table (project_id bigint, call_id text, call_at timestamptz, payload jsonb)
language sql immutable parallel safe
as $$
with

numbered as (
    select
        1000 + project as project_id,
        number,
        number / projects as place,  -- in its project
        timestamptz '2021-01-01 00:00:00+00' + number * interval '32 seconds' as call_at,
        hashint8extended(number, 1) & 2147483647 as a,
        hashint8extended(number, 2) & 2147483647 as b
    from generate_series(0, projects - 1) as project
    cross join lateral generate_series(first / projects, last / projects) as round
    cross join lateral (select round * projects + project as number) as numbered
    where number between first and last and project % parts = part
),

drawn as (
    select
        *,
        a % 100 as way,                               -- which of the 100 above
        a / 100 % 4 > 0 as is_answered,
        101 + a / 400 % 6 as extension,
        a / 2400 % 8 as line,
        -- squared: the first words and campaigns are drawn far more often than the last
        trunc(12 * power(b % 1000 / 1000.0, 2))::integer as campaign,
        trunc(10 * power(b / 1000 % 1000 / 1000.0, 2))::integer as word,
        b / 1000000 as c,
        (place - a / 19200 % 40) * 45 / 100 as person
    from numbered
),

placed as (
    select
        *,
        case
            when way < 5 then 'Статический пул 1'
            when way < 20 then 'Статический пул ' || 2 + line % 8 + way % 2
            when way >= 33 then 'Динамический пул'
        end as pool_name,
        case
            when way < 5 then 1
            when way < 20 then 2 + line % 8 + way % 2
            when way < 33 then 20
            else 30 + line
        end as number_of_pool,
        way between 25 and 32 as is_out,
        way >= 33 as has_visit,
        case
            when way < 33 then null
            when way < 70 then 'google/cpc'
            when way < 83 then 'google/organic'
            when way < 93 then '(direct)/(none)'
            else 'facebook/paid_social'
        end as visit,
        case
            when c % 100 < 3 then 'anonymous'
            else '380' || lpad((project_id * 100000 + person + 1000)::text, 9, '0')
        end as person_number,
        'ua9_-' || extract(epoch from call_at)::bigint || '.' || number as uniqueid,
        not way between 25 and 32 and b % 100 < 7 as is_transferred
    from drawn
),

with_legs as (
    select
        project_id,
        number,
        leg,
        call_at + leg * interval '40 seconds' as call_at,
        a,
        b,
        way,
        is_answered,
        (extension - 101 + leg) % 6 + 101 as extension,
        campaign,
        word,
        c,
        pool_name,
        number_of_pool,
        is_out,
        has_visit,
        visit,
        person_number,
        uniqueid || case leg when 1 then 'l' else '' end as uniqueid
    from placed
    cross join lateral generate_series(0, is_transferred::integer) as leg
)

select
    project_id,
    uniqueid,
    call_at,
    jsonb_build_object(
        'calldate', to_char(call_at, 'YYYY-MM-DD"T"HH24:MI:SS') || '+0000',
        'uniqueid', uniqueid,
        'caller', case when is_out then '"manager" <101>' else person_number end,
        'caller_number', case when is_out then '101' else person_number end,
        'dst', case
            when is_out then person_number
            else '3807' || project_id || '0' || lpad(number_of_pool::text, 3, '0')
        end,
        'n_alias', case
            when not is_out then '3807' || project_id || '0' || lpad(number_of_pool::text, 3, '0')
        end,
        'connected_with', case when is_answered then extension::text else '' end,
        'additional_number', case when is_answered then extension::text else '' end,
        'pool_name', pool_name,
        'scheme_name', 'Рабочая схема',
        'department', case when extension < 105 then 'Отдел продаж' else 'Сервис' end,
        'call_type', case
            when leg = 1 then 'transitin'
            when is_out then 'out'
            when way = 99 then 'callback'
            else 'in'
        end,
        'disposition', case
            when not is_answered then (array['NO ANSWER', 'BUSY', 'VOICEMAIL'])[1 + c % 3]
            else (array['ANSWERED', 'PROPER', 'REPEATED'])[1 + c % 3]
        end,
        'duration', 20 + c % 600,
        'billsec', case when is_answered then c % 600 else 0 end,
        'waittime', (c % 60)::text,
        'duration_ms', (20 + c % 600) || '000',
        'call_counter', 1 + c % 4,
        'unique_call', (c % 4 = 0)::integer,
        'proper_flag', (is_answered and c % 3 = 1)::integer
    ) || jsonb_build_object(
        'repeated_flag', (is_answered and c % 3 = 2)::integer,
        'has_recording', is_answered::integer::text,
        'category_number', case when is_answered and c % 5 < 2 then 1 + c % 6 else -1 end,
        'category_mark', 0,
        'employee_number', case when is_answered then extension - 100 else -1 end,
        'employee_mark', 0,
        'employee_fio', case when is_answered then 'Сотрудник Примеров ' || extension else '' end,
        'utm_source', coalesce(split_part(visit, '/', 1), ''),
        'utm_medium', coalesce(split_part(visit, '/', 2), ''),
        'utm_campaign', case
            when visit = 'google/cpc' then 'search_campaign_' || campaign
            when visit = 'facebook/paid_social' then 'social_campaign_' || campaign % 3
            when has_visit then '(not set)'
            else ''
        end,
        'utm_content', case when has_visit then '(not set)' else '' end,
        'utm_term', case
            when visit = 'google/cpc' then 'запись на приём ' || campaign * 10 + word
            when has_visit then '(not set)'
            else ''
        end,
        'client_id', case when has_visit then b || '.' || a else '' end,
        'landing', case
            when has_visit
                then 'https://clinic.example/services/?utm_source=google&utm_medium=cpc'
                || '&utm_campaign=search_campaign_' || campaign || '&utm_content=(not+set)&gclid='
                || md5(number::text) || md5(a::text) || md5(b::text)
            else ''
        end,
        'refferrer', case when has_visit then 'https://www.google.com/' else '' end,
        'remote_ip', case when has_visit then '203.0.113.' || 1 + c % 254 else '' end,
        'call_card', 'https://app.ringostat.com/project/callcards/card/' || uniqueid
        || '/?project_id=' || project_id
    )
from with_legs
$$;
