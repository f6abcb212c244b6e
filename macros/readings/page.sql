{#
    A page's address without what may name a client: what follows `?`, `#`, `;` or `&`, also in percent
    signs, and each part of the path with an `@` or seven digits in a row.
#}
{% macro page(address) -%}
    regexp_replace(
        substring({{ address }} from '^(.*?)(?:[?#;&]|%(?:3[FfBb]|2[36])|$)'),
        '[^/]*(@|%40|[0-9]{7})[^/]*', '…', 'g'
    )
{%- endmacro %}
