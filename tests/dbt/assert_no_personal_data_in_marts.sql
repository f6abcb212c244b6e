-- The marts are open to everybody who may look at reports: a column with a phone number, an address,
-- a link to a recording or an id that is a hash of a number must not get into them by way of a later
-- edit.
--
-- depends_on: {{ ref('fct_conversions') }}
-- depends_on: {{ ref('rpt_unmapped_pools') }}
select
    table_name,
    column_name
from information_schema.columns
where
    table_schema = '{{ ref("fct_conversions").schema }}'
    and column_name ~ '{{ personal_columns() }}'
