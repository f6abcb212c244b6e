-- One row per form request with typed and named columns: the only model that reads a form's JSON.
-- It has the indexes of the calls, for the same reasons.
{{
    config(
        materialized='incremental',
        unique_key=['project_id', 'form_id'],
        indexes=[
            {'columns': ['project_id', 'form_id'], 'unique': true},
            {'columns': ['project_id', 'staged_at', 'loaded_at']},
            {'columns': ['project_id', 'caller_digits']},
        ],
        pre_hook="{{ lock_staging() }}",
        post_hook="{{ delete_projects_missing_upstream(source('ringostat', 'forms')) }}",
    )
}}

with

{% if is_incremental() %}
forms as (
    {{ not_yet_staged(source('ringostat', 'forms'), 'form_id') }}
),
{% else %}
forms as (
    select * from {{ source('ringostat', 'forms') }}
),
{% endif %}

answered as (
    select
        forms.project_id,
        forms.form_id,
        forms.submitted_at,
        forms.first_loaded_at,
        forms.loaded_at,
        answer.*
    from forms
    cross join
        lateral {{ json_texts('answer', 'forms.payload', [
            'phone', 'tag', 'pool_name', 'client_id', 'landing', 'utm_source', 'utm_medium',
            'utm_campaign', 'utm_content', 'utm_term',
        ]) }}
),

typed as (
    select
        project_id,
        form_id,
        submitted_at,

        -- the person
        {{ digits('phone') }} as caller_digits,

        -- where it came from
        pool_name,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        {{ has_visit(
            'client_id', 'landing',
            'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term',
        ) }} as has_visit,
        {{ page('landing') }} as landing,
        client_id,

        -- what was noted on it
        tag,

        -- when it was loaded
        first_loaded_at,
        loaded_at
    from answered
),

keyed as (
    select
        *,
        {{ surrogate_key([
            'pool_name', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term',
            'has_visit',
        ]) }} as attribution_key,
        {{ surrogate_key(['tag']) }} as tag_key
    from typed
)

select
    *,
    {{ staged_at() }} as staged_at
from keyed
