{{ config(materialized='view') }}

select
    campaign,
    is_counted,
    is_answered
from {{ ref('fct_conversions') }}
