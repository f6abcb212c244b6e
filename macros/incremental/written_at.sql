{#
    When a model writes its rows: one moment for all rows of a statement, and a later one for each
    later statement. It is the watermark of the models that read this one. `staged_at` says when a
    contact arrived, but its row is also written again when another contact of its caller arrives, and
    its labels when a channel is edited.

    Builds write a model one after the other (`lock_model`), so a reader that sees rows of one moment
    sees all rows of earlier moments. The moments grow even if the server's clock is set back.

    Use it in the outermost select, as `staged_at`.

    clock  the column that holds it
#}
{% macro written_at(clock='written_at') -%}
    {%- set before = load_relation(this) if execute and this -%}
    {%- if before
        and clock in adapter.get_columns_in_relation(before) | map(attribute='name') -%}
    (select greatest(clock_timestamp(), {{ after_newest(before, clock=clock) }}))
    {%- else -%}
    (select clock_timestamp())
    {%- endif -%}
{%- endmacro %}
