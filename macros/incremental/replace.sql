{#
    The incremental strategy `replace`: replaces all rows of a table by those of its model, in the
    one transaction of the run. Readers are not blocked: they see the old rows until it commits.
    Views on the table are kept. If the model fails, the table does not change.
#}
{% macro get_incremental_replace_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
{% endmacro %}
