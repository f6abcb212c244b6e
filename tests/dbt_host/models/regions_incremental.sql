{{ config(materialized='incremental', incremental_strategy='replace', unique_key='region_id') }}

select region_id from {{ ref('regions') }}
