{#
    On-run-end: prints the first failing rows of each failed test. dbt itself shows only their
    number, and the person who has edited a CSV needs the line. Personal columns are left out. The
    rows are printed, not logged, so that a quiet log has them too.
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
