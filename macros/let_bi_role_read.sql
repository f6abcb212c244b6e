{#
    Post-hook of the marts: the role that `ringostat_bi_role` names may read them. It gets nothing
    on the other schemas; views read their tables with the rights of whoever built them.
    (dbt's own `grants` does not open the schema, and cannot read a var of dbt_project.yml there.)
#}
{% macro let_bi_role_read() %}
    {%- set role = var('ringostat_bi_role') -%}
    {%- if role -%}
    grant usage on schema {{ this.without_identifier().include(database=false) }}
    to {{ adapter.quote(role) }};
    grant select on {{ this }} to {{ adapter.quote(role) }}
    {%- endif -%}
{% endmacro %}
