{#
    Post-hook: tells Postgres how many distinct pairs of the columns exist. Its own estimate is ten
    times too low, and its plan for the marts then reads a month of conversions again for each key:
    at 1,000,000 calls the last 30 days by campaign took 2.2 s instead of 0.27 s, a project's year
    28 ms instead of 8 ms.

    The statistics get a new name each time: those of the table that a full refresh replaces still
    exist at this moment, and are dropped together with that table.
#}
{% macro key_statistics(columns) %}
    {%- if not is_incremental() -%}
    {%- set name = this.identifier ~ '_' ~ invocation_id | replace('-', '') -%}
    create statistics {{ this.without_identifier().include(database=false) }}.{{ adapter.quote(name) }}
    (ndistinct) on {{ columns | join(', ') }} from {{ this }};
    analyze {{ this }}
    {%- endif -%}
{% endmacro %}
