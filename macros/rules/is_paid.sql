{#
    Whether labels are those of paid traffic: their type is one by which analytics tools know it (cpc,
    ppc, cpm, retargeting, paid_social …), or the campaign is an id of an advertising platform, a
    number of at least 8 digits. Performance Max writes the pool's name where others write the type.
#}
{% macro is_paid(traffic_type, campaign) -%}
    (
        lower({{ traffic_type }}) ~ '^(cp.|ppc|retargeting|paid.*|.*[_-]cp.)$'
        or {{ campaign }} ~ '^[0-9]{8,}$'
    )
{%- endmacro %}
