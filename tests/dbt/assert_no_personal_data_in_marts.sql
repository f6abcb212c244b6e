-- Everybody who may see reports may read the marts: no later edit may add a column with a phone
-- number, a hash of one, an address or a link to a recording.
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
