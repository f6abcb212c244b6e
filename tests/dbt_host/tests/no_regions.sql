-- Always fails, to show what a failing test of this project prints.
{{ config(severity='warn') }}

select * from {{ ref('regions') }}
