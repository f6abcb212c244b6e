-- Pairs of conversions in two projects that may be one request: each pair once, under the project
-- with the smaller number. Incremental, because only contacts that were written since the last run
-- can make a new pair: comparing all of them took 2.3 s at 1,000,000 calls.
--
-- A pair of a project with itself is no pair: it says up to which contact the project was read.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'contact_id', 'other_project_id', 'other_contact_id'],
        indexes=[
            {
                'columns': ['project_id', 'contact_id', 'other_project_id', 'other_contact_id'],
                'unique': true
            },
            {'columns': ['project_id', 'written_at']},
        ],
        post_hook=[
            "{{ delete_projects_missing_upstream(ref('stg_config__projects')) }}",
            "{{ delete_former_duplicates(ref('int_contacts')) }}",
        ],
    )
}}

with

-- Not written to disk: callers are looked up by their index.
conversions as not materialized (
    select * from {{ ref('int_contacts') }}
    where is_conversion and caller_digits is not null
),

projects as{{ kept() }} (
    select
        projects.project_id,
        newest.written_at,
        {{ surrogate_key([
            dbt.string_literal(var('ringostat_duplicate_minutes') | string),
        ]) }} as made_with
    from {{ ref('stg_config__projects') }} as projects
    inner join lateral (
        select contacts.written_at
        from {{ ref('int_contacts') }} as contacts
        where contacts.project_id = projects.project_id
        order by contacts.written_at desc
        limit 1
    ) as newest on true
),

{% if is_incremental() %}
watermarks as{{ spread() }} (
    {{ watermarks('projects', made_with='made_with', clock='written_at') }}
),

written as (
    {{ arrived_after_watermark('conversions', clock='written_at') }}
),
{% else %}
written as not materialized (
    select * from conversions
),
{% endif %}

-- `offset 0`: past one machine, what was written is sent to all nodes, and no other conversion.
compared as not materialized (
    select
        project_id,
        contact_id,
        caller_digits,
        occurred_at
    from written
    {{ 'offset 0' if is_distributed() }}
),

pairs as{{ kept() }} (
    select
        case when pair.is_in_order then compared.project_id else other.project_id end as project_id,
        case when pair.is_in_order then compared.contact_id else other.contact_id end as contact_id,
        case when pair.is_in_order then other.project_id else compared.project_id end
            as other_project_id,
        case when pair.is_in_order then other.contact_id else compared.contact_id end
            as other_contact_id
    from compared
    inner join conversions as other
        on
            {{ may_be_duplicate('compared', 'other') }}
            and compared.project_id <> other.project_id
    cross join lateral (values (compared.project_id < other.project_id)) as pair (is_in_order)
),

final as (
    select distinct
        pairs.project_id,
        pairs.contact_id,
        pairs.other_project_id,
        pairs.other_contact_id,
        projects.written_at,
        projects.made_with
    from pairs
    inner join projects on pairs.project_id = projects.project_id
    union all
    select
        project_id,
        '' as contact_id,
        project_id as other_project_id,
        '' as other_contact_id,
        written_at,
        made_with
    from projects
)

select * from final
