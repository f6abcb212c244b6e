{#
    One short key for many columns: calls that share it share everything the columns say. A row's
    text tells null from the empty string, which a plain concatenation would not.
#}
{% macro surrogate_key(columns) -%}
    md5(row({{ columns | join(', ') }})::text)::uuid
{%- endmacro %}
