{#
    The values of a JSON object as texts, for `cross join lateral`: one column `name.key` per key.

    `jsonb_to_record` unpacks a long object once, and Postgres spreads its calls over processes; but
    it is not immutable, so Citus would read all JSON on the coordinator. `offset 0` makes it read
    each value once, however often its column is used.
#}
{% macro json_texts(name, payload, keys) -%}
    {%- if is_distributed() -%}
    (
        select
            {% for key in keys -%}
            {{ payload }} ->> '{{ key }}' as {{ key }}{{ ',' if not loop.last }}
            {% endfor -%}
        from (values (true)) as once (is_read)
        offset 0
    ) as {{ name }}
    {%- else -%}
    jsonb_to_record({{ payload }}) as {{ name }} ({{ keys | join(' text, ') }} text)
    {%- endif -%}
{%- endmacro %}
