{#
    The incremental strategy `replace`: all rows of a table for all rows of its model, in the one
    transaction of the run. Readers are not blocked, they see the old rows until it commits; views on
    the table stay. Where the model fails, the table holds what it held.
#}
{% macro get_incremental_replace_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
{% endmacro %}
