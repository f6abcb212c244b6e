{#
    The incremental strategy `replace`: afterwards the table holds the rows of its model and no
    others. Only rows that differ are written, in the one transaction of the run. Readers are not
    blocked: they see the old rows until it commits. Views on the table are kept. If the model fails,
    the table does not change.

    The columns of `unique_key` are never null.
#}
{% macro get_incremental_replace_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }} as before
    where not exists (
        select
        from {{ arguments['temp_relation'] }} as after
        where {{ is_same_row(arguments) }}
    );
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }} as after
    where not exists (
        select
        from {{ arguments['target_relation'] }} as before
        where {{ is_same_row(arguments) }}
    )
{% endmacro %}


{#
    The incremental strategy `replace_days`: the same for the days that the model names. It names a day
    by a row without `conversion_type`, which is not stored. A row without `conversion_date` stands for
    its project and replaces the stored one.
#}
{% macro get_incremental_replace_days_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }} as before
    using {{ arguments['temp_relation'] }} as named
    where
        named.conversion_type is null
        and before.project_id = named.project_id
        and before.conversion_date = named.conversion_date
        and not exists (
            select
            from {{ arguments['temp_relation'] }} as after
            where {{ is_same_row(arguments) }}
        );
    delete from {{ arguments['target_relation'] }} as before
    using {{ arguments['temp_relation'] }} as named
    where
        named.conversion_date is null
        and before.project_id = named.project_id
        and before.conversion_date is null;
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }} as after
    where
        (conversion_type is not null or conversion_date is null)
        and not exists (
            select
            from {{ arguments['target_relation'] }} as before
            where {{ is_same_row(arguments) }}
        )
{% endmacro %}


{# Whether `before` and `after` have the same key and are equal in all columns. #}
{% macro is_same_row(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | list -%}
    {%- set keys = arguments['unique_key'] -%}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- for key in keys -%}
    after.{{ key }} = before.{{ key }} and
    {% endfor -%}
    row({% for column in columns %}after.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
    is not distinct from
    row({% for column in columns %}before.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
