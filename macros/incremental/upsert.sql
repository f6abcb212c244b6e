{#
    The incremental strategy `upsert`: the rows of the model replace those with the same key. The
    table needs a unique index on the columns of `unique_key`.

    It does what `merge` does, as fast. Citus, which spreads tables over several machines, lets `merge`
    neither read a temporary table nor write the column by which a table is spread.
#}
{% macro get_incremental_upsert_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | list -%}
    {%- set keys = arguments['unique_key'] -%}
    {%- set keys = [keys] if keys is string else keys -%}
    insert into {{ arguments['target_relation'] }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arguments['temp_relation'] }}
    on conflict ({{ keys | join(', ') }}) do update set
        {% for column in columns if column | replace('"', '') not in keys -%}
        {{ column }} = excluded.{{ column }}{{ ',' if not loop.last }}
        {% endfor %}
{% endmacro %}
