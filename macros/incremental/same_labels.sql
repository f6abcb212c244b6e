{#
    Whether rows of two relations belong to one project and have the same source, type and campaign.

    The labels are compared as one value: of four equal columns Postgres expects next to no rows, and
    would look through all labels for each conversion.
#}
{% macro same_labels(one, other) -%}
    {{ one }}.project_id = {{ other }}.project_id
    and {{ surrogate_key([one ~ '.traffic_source', one ~ '.traffic_type', one ~ '.campaign']) }}
    = {{ surrogate_key([other ~ '.traffic_source', other ~ '.traffic_type', other ~ '.campaign']) }}
{%- endmacro %}
