{# The four ways to decide which conversions a project counts. #}
{% macro kpi_modes() %}
    {{ return(['all', 'tagged', 'primary', 'tagged_primary']) }}
{% endmacro %}


{# The KPI mode of a project: its own, else the var's. #}
{% macro kpi_mode(own_mode) -%}
    coalesce(nullif({{ own_mode }}, ''), '{{ var("ringostat_kpi_mode") }}')
{%- endmacro %}


{# Whether a conversion counts in the given mode. #}
{% macro is_counted(mode, is_tagged, is_primary) -%}
    case
        when {{ mode }} = 'all' then true
        when {{ mode }} = 'tagged' then {{ is_tagged }}
        when {{ mode }} = 'primary' then {{ is_primary }}
        when {{ mode }} = 'tagged_primary' then {{ is_tagged }} and {{ is_primary }}
    end
{%- endmacro %}


{# Of a measure that is stored for each mode, the one that the project's mode counts. #}
{% macro of_kpi_mode(mode, measure) -%}
    case
        {% for one in kpi_modes() -%}
        when {{ mode }} = '{{ one }}' then {{ measure }}_{{ one }}
        {% endfor -%}
    end
{%- endmacro %}
