{#
    On-run-end: under each failed test, the first rows that fail it. dbt itself tells only how many
    there are, and whoever has edited a CSV wants to know which line. Personal columns are left out.
    Printed, not logged: a log that is quiet must hold them too.
#}
{% macro show_failing_rows(results) %}
    {% for result in results
        if result.node.resource_type == 'test' and result.failures and result.node.compiled_code %}
        {% do print(result.node.name ~ ':') %}
        {% set failing = 'select * from (' ~ result.node.compiled_code ~ ') as failing limit 10' %}
        {% set rows = run_query(failing) %}
        {% for row in rows.rows %}
            {% set shown = [] %}
            {% for column, value in row.items() %}
                {% do shown.append(value) if not modules.re.search(personal_columns(), column) %}
            {% endfor %}
            {% do print('    ' ~ shown | join(' | ')) %}
        {% endfor %}
    {% endfor %}
{% endmacro %}
