{#
    One short key for many columns: calls with the same key have the same values in all of them. The
    text of a row distinguishes null from the empty string; a plain concatenation would not.
#}
{% macro surrogate_key(columns) -%}
    md5(row({{ columns | join(', ') }})::text)::uuid
{%- endmacro %}
