{#
    A view is replaced in place. dbt-postgres renames the old view away and drops it with
    `cascade`: every view upon it, and what BI has built on those, would be gone until its own turn
    comes, and for good where a failing test makes dbt skip it.
    `create or replace` needs the same columns in the same order (more may follow): a release that
    renames one is built with `--full-refresh`, which drops the view first.
#}
{% materialization view, adapter='postgres' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing is not none and (should_full_refresh() or not existing.is_view) %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') -%}
        {{ get_create_view_as_sql(target, sql) }}
    {%- endcall %}
    {% do persist_docs(target, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% macro postgres__create_view_as(relation, sql) %}
    create or replace view {{ relation }}
    {% if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    as (
        {{ sql }}
    );
{% endmacro %}
