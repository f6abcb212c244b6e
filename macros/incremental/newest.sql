{#
    The value of `column` in the newest row that `relation` has of a project of the CTE `projects`.

    A sub-query, not a lateral outer join: with that, Citus would collect on one machine what is
    joined to it.
#}
{% macro newest(column, relation, clocks) -%}
    (
        select rows_of_project.{{ column }}
        from {{ relation }} as rows_of_project
        where rows_of_project.project_id = projects.project_id
        order by rows_of_project.{{ clocks | join(' desc, rows_of_project.') }} desc
        limit 1
    )
{%- endmacro %}
