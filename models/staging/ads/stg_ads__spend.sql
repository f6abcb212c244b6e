-- What advertising platforms report as spent, from the relation that `ringostat_ad_spend` names;
-- empty without it. A table, because that relation need not have an index, and must stay free to be
-- dropped and made again: a view on it would be dropped too.
--
-- Spend whose relation has no `project_id` has none here: int_spend_campaigns looks for it.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace',
        unique_key=[
            'campaign_key', 'date_day', 'campaign_name', 'utm_source', 'utm_medium', 'utm_campaign',
        ],
        indexes=[{'columns': ['campaign_key', 'date_day']}],
    )
}}
{%- set relation = var('ringostat_ad_spend') %}

with

{% if relation %}
{%- set columns = ad_spend_columns(relation) %}
reported as (
    select
        {{ 'project_id::bigint' if 'project_id' in columns else 'null::bigint' }} as project_id,
        date_day::date as date_day,
        {{ ad_spend_text('platform', columns) }} as platform,
        {{ ad_spend_text('campaign_id', columns) }} as campaign_id,
        {{ ad_spend_text('campaign_name', columns) }} as campaign_name,
        {{ ad_spend_text('utm_source', columns) }} as utm_source,
        {{ ad_spend_text('utm_medium', columns) }} as utm_medium,
        {{ ad_spend_text('utm_campaign', columns) }} as utm_campaign,
        coalesce(spend::numeric, 0) as spend
    from {{ relation }}
),
{% else %}
reported as (
    select
        null::bigint as project_id,
        null::date as date_day,
        null::text as platform,
        null::text as campaign_id,
        null::text as campaign_name,
        null::text as utm_source,
        null::text as utm_medium,
        null::text as utm_campaign,
        null::numeric as spend
    where false
),
{% endif %}

-- A campaign is known by its id, so that it stays one if it gets another name.
identified as (
    select
        *,
        {{ surrogate_key([
            'project_id',
            'platform',
            "case when campaign_id = '' then 'name' else 'id' end",
            "case when campaign_id = '' then campaign_name else campaign_id end",
        ]) }} as campaign_key
    from reported
),

final as (
    select
        campaign_key,
        project_id,
        date_day,
        platform,
        campaign_id,
        campaign_name,
        utm_source,
        utm_medium,
        utm_campaign,
        sum(spend) as spend
    from identified
    group by
        campaign_key,
        project_id,
        date_day,
        platform,
        campaign_id,
        campaign_name,
        utm_source,
        utm_medium,
        utm_campaign
)

select * from final
