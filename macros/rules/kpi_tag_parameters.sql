{#
    The parameters that a KPI tag may compare, and the contact's column of each. All are columns of
    a call, except `tag`, which forms have.
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
