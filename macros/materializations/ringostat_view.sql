{#
    A view that is left alone if it has not changed, and else is replaced in place.

    dbt's own `view` on Postgres renames the old view and drops it with `cascade`: every view on it, and what BI has
    built on those, would be missing until dbt builds it again, and for good if a failing test makes
    dbt skip it. Also, each replacement waits for the queries that are reading the view, and all
    later readers wait behind it.

    `create or replace` needs the same columns in the same order (new ones may follow): a release
    that renames a column must be built with `--full-refresh`, which drops the view first.

    It has a name of its own, because dbt does not take a package's `view` for that package's models,
    and must not take it for those of the project that installs the package.
#}
{% materialization ringostat_view, adapter='postgres' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set version = version_of_view(sql) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if is_mart_table() %}
        {% set target = build_mart_table(existing, sql) %}
        {% do persist_docs(target, model) %}
        {% do apply_grants(target, config.get('grants'), should_revoke=existing is not none) %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {% do adapter.commit() %}
        {{ run_hooks(post_hooks, inside_transaction=False) }}
        {{ return({'relations': [target]}) }}
    {% endif %}

    {% if existing is not none and not existing.is_view %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main', fetch_result=True) -%}
        select exists ({{ rule_of_version(target, version) }}) as is_unchanged
    {%- endcall %}
    {% if not load_result('main').table.rows[0][0] %}
        {% if config.get('contract').enforced %}
            {#- Checks the columns, and makes no text. -#}
            {{ get_assert_columns_equivalent(sql) }}
        {% endif %}
        {% do run_query(replace_view(target, sql, version)) %}
        {% do persist_docs(target, model) %}
    {% endif %}
    {#- Rights stay on a view that is replaced in place, so those that the config lacks must go. #}
    {% do apply_grants(target, config.get('grants'), should_revoke=existing is not none) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# Identifies all that a view is made of: its query, its contract and its descriptions. #}
{% macro version_of_view(sql) %}
    {{ return(local_md5(tojson([
        sql, model.columns, model.description,
        config.get('contract').enforced, config.get('persist_docs'),
    ]))) }}
{% endmacro %}


{#
    The rule behind a view, if it is of this version and nobody has replaced the view by hand.

    The version is noted in the comment on the rule, which no BI tool shows. Comparing costs an
    ordinary day 10 ms per view; checking the contract and writing the descriptions costs 40.
#}
{% macro rule_of_version(relation, version) %}
    select
    from pg_rewrite
    where
        ev_class = to_regclass({{ dbt.string_literal(relation.include(database=false) | string) }})
        and obj_description(oid, 'pg_rewrite')
        = {{ dbt.string_literal(version ~ ' ') }} || md5(pg_get_viewdef(ev_class))
{% endmacro %}


{% macro replace_view(relation, sql, version) %}
    {%- set view = relation.include(database=false) | string -%}
    {%- call give_way_to_readers('view ' ~ view ~ ' cannot be replaced') %}
    {% if is_distributed() -%}
    {#- Only the coordinator needs the views. If the nodes had them too, Citus would refuse to let one
        read a table that the nodes lack, such as that of `ringostat_other_conversions`. -#}
    set local citus.enable_ddl_propagation = off;
    {% endif -%}
    {% if should_full_refresh() -%}
    drop view if exists {{ view }} cascade;
    {% endif -%}
    create or replace view {{ view }} as (
        {{ sql }}
    );
    execute format(
        'comment on rule "_RETURN" on {{ view }} is %L',
        {{ dbt.string_literal(version ~ ' ') }}
        || md5(pg_get_viewdef({{ dbt.string_literal(view) }}::regclass))
    );
    {%- endcall %}
{% endmacro %}
