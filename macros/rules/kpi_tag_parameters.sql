{#
    What a KPI tag may look at, and the contact's column that holds it: all are columns of a call,
    but for `tag`, which forms have.
#}
{% macro kpi_tag_parameters() %}
    {{ return({
        'category_number': 'category_number',
        'category_mark': 'category_mark',
        'disposition': 'disposition_normalised',
        'proper_flag': 'proper_flag',
        'employee_number': 'employee_number',
        'employee_mark': 'employee_mark',
        'department': 'department',
        'scheme_name': 'scheme_name',
        'tag': 'tag',
    }) }}
{% endmacro %}
