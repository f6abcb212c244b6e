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
    The incremental strategy `replace_parts`: the same for the parts that the model names, by rows
    without `conversion_type`. These are not stored. Such a row with a day names that day, and one
    with labels names their rows on all days. A row without either stands for its project, and
    replaces the stored one.
#}
{% macro get_incremental_replace_parts_sql(arguments) %}
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
    -- `is true`: Postgres reads each project once, not once per label.
    delete from {{ arguments['target_relation'] }} as before
    using (
        select distinct project_id
        from {{ arguments['temp_relation'] }}
        where conversion_type is null and traffic_source is not null
    ) as named
    where
        before.project_id = named.project_id
        and (before.project_id, before.traffic_source, before.traffic_type, before.campaign) in (
            select project_id, traffic_source, traffic_type, campaign
            from {{ arguments['temp_relation'] }}
            where conversion_type is null and traffic_source is not null
        ) is true
        and not exists (
            select
            from {{ arguments['temp_relation'] }} as after
            where {{ is_same_row(arguments) }}
        );
    delete from {{ arguments['target_relation'] }} as before
    using {{ arguments['temp_relation'] }} as named
    where
        named.conversion_date is null
        and named.traffic_source is null
        and before.project_id = named.project_id
        and before.conversion_date is null;
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }} as after
    where
        (conversion_type is not null or (conversion_date is null and traffic_source is null))
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
