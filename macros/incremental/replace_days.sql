{#
    The incremental strategy `replace_days`: deletes the stored rows of the days that the model names,
    and inserts the rows that it has for them, in the one transaction of the run. Readers see the old
    rows until it commits.

    A model names a day by a row without `conversion_type`, which is not stored. A row without
    `conversion_date` stands for its project, and replaces the stored one.
#}
{% macro get_incremental_replace_days_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }} as before
    using {{ arguments['temp_relation'] }} as named
    where
        named.conversion_type is null
        and before.project_id = named.project_id
        and before.conversion_date = named.conversion_date;
    delete from {{ arguments['target_relation'] }} as before
    using {{ arguments['temp_relation'] }} as named
    where
        named.conversion_date is null
        and before.project_id = named.project_id
        and before.conversion_date is null;
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }}
    where conversion_type is not null or conversion_date is null
{% endmacro %}
