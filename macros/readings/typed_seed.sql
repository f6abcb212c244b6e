{#
    The cells of a CSV as values of their types; empty cells are null. A cell that breaks its rule
    (macro seed_cells) raises an error that shows the cell, because the message is cast to the type.

    `offset 0` keeps Postgres from evaluating that cast beforehand, which it does if it knows the
    cells without reading a table, as in a unit test.
#}
{% macro typed_seed(seed) %}
    select
        {%- for column, cell in seed_cells(seed).items() if cell.type %}
        case
            when {{ cell.is_right }}
                {%- if cell.type == 'text' %}
                then nullif({{ column }}, '')
                {%- else %}
                then nullif({{ column }}, '')::{{ cell.type }}
                {%- endif %}
            else (
                'seeds/{{ seed }}.csv: {{ column }} is "' || coalesce({{ column }}, '')
                || '", but must {{ cell.must }}'
            )::{{ 'boolean::text' if cell.type == 'text' else cell.type }}
        end as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (select * from {{ ref(seed) }} offset 0) as cells
{% endmacro %}


{#
    Pre-hook of the staging models of configuration: reads all cells of the CSVs, so that a faulty
    cell stops all of these models, also in a run without tests. stg_config__channel_costs reads the
    costs, and the others run after it: only one model may name a seed that a folder may lack. They
    read the cells only if that model is not selected.
#}
{% macro read_all_seeds() %}
    {%- set first = 'model.ringostat.stg_config__channel_costs' -%}
    {%- if model.unique_id == first or first not in selected_resources %}
    {%- for seed in ['projects', 'static_channels', 'kpi_tags'] %}
    select count(typed::text) from ({{ typed_seed(seed) }}) as typed;
    {%- endfor %}
    {%- endif %}
{% endmacro %}
