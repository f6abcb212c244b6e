{{ config(materialized='view') }}

select
    region_id,
    {{ digits('region_name') }} as name_length,
    '{{ selects_ours() }}' as namesake,
    '{{ var("ringostat_reports_since") }}'::date as since
from {{ ref('regions') }}
