{#
    What a mart shows of employees and visits, unless `ringostat_show_employees` or
    `ringostat_show_visits` is false. Ringostat writes -1 where no employee took the call.
#}
{% macro employee_number(number) -%}
    {%- if var('ringostat_show_employees') -%}
    case when not ({{ is_blank(number) }}) and {{ number }} <> '-1' then {{ number }} end
    {%- else -%}
    null::text
    {%- endif -%}
{%- endmacro %}


{% macro employee_name(name) -%}
    {%- if var('ringostat_show_employees') -%}
    case when not ({{ is_blank(name) }}) then {{ name }} end
    {%- else -%}
    null::text
    {%- endif -%}
{%- endmacro %}


{% macro of_visit(value) -%}
    {%- if var('ringostat_show_visits') -%}
    case when not ({{ is_blank(value) }}) then {{ value }} end
    {%- else -%}
    null::text
    {%- endif -%}
{%- endmacro %}
