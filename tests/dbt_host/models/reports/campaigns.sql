{{ config(materialized='table') }}

select
    campaign,
    sum(conversions) as conversions,
    sum(conversions_all) as conversions_all
from {{ ref('ringostat', 'rpt_conversions_daily') }}
group by campaign
