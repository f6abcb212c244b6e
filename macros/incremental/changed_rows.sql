{#
    The rows of a CTE that are new or differ from the stored ones, with `written_at` and the dates on
    which the stored ones were counted. Writing is the expensive part: most contacts of a caller do not
    change when another one arrives.

    The columns of the CTE are those of the table without the last two.
#}
{% macro changed_rows(name) %}
    {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='quoted')
        | reject('in', ['"earlier_dates"', '"written_at"']) | list -%}
    select
        after.*,
        case
            when before.conversion_date <> after.conversion_date
                then (coalesce(before.earlier_dates, '{}')::date[] || before.conversion_date)::text
            else before.earlier_dates
        end as earlier_dates,
        {{ written_at() }} as written_at
    from {{ name }} as after
    left join {{ this }} as before
        on
            after.project_id = before.project_id
            and after.contact_id = before.contact_id
    where
        before.contact_id is null
        or row({% for column in columns %}after.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
        is distinct from
        row({% for column in columns %}before.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
