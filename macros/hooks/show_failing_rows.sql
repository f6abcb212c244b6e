{#
    On-run-end: prints the first ten failing rows of each failed test, and how many more there are.
    dbt itself shows only their number, and the person who has edited a CSV needs the line. Personal
    columns are left out. The rows are printed, not logged, so that a quiet log has them too. Tests
    of a project that installs this one are its own affair.

    The rows are counted again, because the number of failures that dbt passes may be another: a
    test's fail_calc need not count rows, and its limit ends the counting.
#}
{% macro show_failing_rows(results) %}
    {% for result in results
        if result.node.resource_type == 'test' and result.node.package_name == 'ringostat'
        and result.failures and result.node.compiled_code %}
        {% do print(result.node.name ~ ':') %}
        {% set failing = '(' ~ result.node.compiled_code ~ ') as failing' %}
        {% set rows = run_query('select * from ' ~ failing ~ ' limit 11').rows %}
        {% for row in rows[:10] %}
            {% set shown = [] %}
            {% for column, value in row.items() %}
                {% do shown.append(value) if not modules.re.search(personal_columns(), column) %}
            {% endfor %}
            {% do print('    ' ~ shown | join(' | ')) %}
        {% endfor %}
        {% if rows | length > 10 %}
            {% set number = run_query('select count(*) from ' ~ failing).rows[0][0] | int %}
            {% do print('    … and ' ~ (number - 10) ~ ' more') %}
        {% endif %}
    {% endfor %}
{% endmacro %}
