{#
    None of the columns is ever null: one query checks all of them, while `not_null` needs one query
    per column. A failing row names its null columns and shows only the tested columns: others may
    be personal data, and failing rows get into logs.
#}
{% test never_null(model, columns) %}
    select
        concat_ws(
            ', ',
            {% for column in columns -%}
            case when {{ column }} is null then '{{ column }}' end{{ ',' if not loop.last }}
            {% endfor %}
        ) as null_columns,
        {{ columns | join(', ') }}
    from {{ model }}
    where
        {% for column in columns -%}
        {{ column }} is null{{ ' or' if not loop.last }}
        {% endfor %}
{% endtest %}
