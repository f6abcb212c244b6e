{#
    A column of the relation that `ringostat_ad_spend` names, as text without spaces at its ends; '' if
    it is blank, or if the relation lacks the column.
#}
{% macro ad_spend_text(column, columns) -%}
    {%- if column in columns -%}
    coalesce(btrim({{ column }}::text, {{ whitespace() }}), '')
    {%- else -%}
    ''
    {%- endif -%}
{%- endmacro %}


{#
    The columns of the relation that `ringostat_ad_spend` names, in lower case. Stops the build if the
    relation does not exist or lacks a column that is needed.
#}
{% macro ad_spend_columns(relation) %}
    {%- set needed = ['date_day', 'platform', 'campaign_id', 'campaign_name', 'spend'] -%}
    {%- if not execute -%}
    {{ return(needed) }}
    {%- endif -%}
    {%- set found = run_query(
        "select attname from pg_attribute where attrelid = to_regclass("
        ~ dbt.string_literal(dbt.escape_single_quotes(relation)) ~ ") and attnum > 0 and not attisdropped"
    ).columns[0].values() | list -%}
    {%- set missing = needed | reject('in', found) | list -%}
    {%- if not found -%}
    {%- do exceptions.raise_compiler_error(
        'ringostat_ad_spend is "' ~ relation ~ '", but there is no such relation in this database'
    ) -%}
    {%- elif missing -%}
    {%- do exceptions.raise_compiler_error(
        'ringostat_ad_spend is "' ~ relation ~ '", which lacks the column ' ~ missing | join(', ')
    ) -%}
    {%- endif -%}
    {{ return(found) }}
{% endmacro %}
