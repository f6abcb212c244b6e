{#
    The values of a JSON object as columns, for `cross join lateral`. `offset 0` makes Postgres read
    each value once, however often its column is used.

    `jsonb_to_record` would be shorter, but it is not immutable: Citus would read all JSON on the
    coordinator.
#}
{% macro json_texts(payload, keys) -%}
    (
        select
            {% for key in keys -%}
            {{ payload }} ->> '{{ key }}' as {{ key }}{{ ',' if not loop.last }}
            {% endfor -%}
        from (values (true)) as once (is_read)
        offset 0
    )
{%- endmacro %}
