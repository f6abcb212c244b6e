{#
    The incremental strategy `replace`: afterwards the table holds the rows of its model and no
    others. Only rows that differ are written, in the one transaction of the run. Readers are not
    blocked: they see the old rows until it commits. Views on the table are kept. If the model fails,
    the table does not change.

    The columns of `unique_key` are never null.
#}
{% macro get_incremental_replace_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | list -%}
    {%- set keys = arguments['unique_key'] -%}
    {%- set keys = [keys] if keys is string else keys -%}
    delete from {{ arguments['target_relation'] }} as before
    where not exists (
        select
        from {{ arguments['temp_relation'] }} as after
        where
            {% for key in keys -%}
            after.{{ key }} = before.{{ key }} and
            {% endfor -%}
            row({% for column in columns %}after.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
            is not distinct from
            row({% for column in columns %}before.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
    );
    insert into {{ arguments['target_relation'] }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arguments['temp_relation'] }} as after
    where not exists (
        select
        from {{ arguments['target_relation'] }} as before
        where
            {% for key in keys -%}
            after.{{ key }} = before.{{ key }}{{ ' and' if not loop.last }}
            {% endfor -%}
    )
{% endmacro %}
