{#
    When a model writes its rows: one moment for all rows of a statement, and a later one for each
    later statement. It is the watermark of the models that read this one, because `staged_at` says
    when a contact arrived, and a contact is also written again when another one of its caller arrives.

    Builds write a model one after the other (`lock_model`), so a reader that sees rows of one moment
    sees all rows of earlier moments. The moments grow even if the server's clock is set back.

    Use it in the outermost select, as `staged_at`.
#}
{% macro written_at() -%}
    {%- set before = load_relation(this) if execute and this -%}
    {%- if before
        and 'written_at' in adapter.get_columns_in_relation(before) | map(attribute='name') -%}
    (select greatest(clock_timestamp(), {{ after_newest(before, clock='written_at') }}))
    {%- else -%}
    (select clock_timestamp())
    {%- endif -%}
{%- endmacro %}
