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

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing is not none and not existing.is_view %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') -%}
        {{ replace_view(target, sql) }}
    {%- endcall %}
    {#- Rights stay on a view that is replaced in place, so those that the config lacks must go. #}
    {% do apply_grants(target, config.get('grants'), should_revoke=existing is not none) %}
    {% do persist_docs(target, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#
    The new view is created as a temporary one first, so that Postgres can compare its query and
    columns with those of the old one.

    A replacement tries for a short moment at a time to get its lock: new readers wait no longer
    than that, however long the query runs that holds the view.
#}
{% macro replace_view(relation, sql) %}
    {%- set old = relation.include(database=false) | string -%}
    {%- set new = 'pg_temp.' ~ adapter.quote(relation.identifier ~ '__new') -%}
    {% if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    do $replace_view$
    declare
        gives_up_at constant timestamptz := clock_timestamp() + interval '5 minutes';
        is_unchanged boolean;
    begin
        create view {{ new }} as (
            {{ sql }}
        );
        select count(*) = 2 and count(distinct definition) = 1
        into is_unchanged
        from unnest(array[{{ dbt.string_literal(old) }}, {{ dbt.string_literal(new) }}]) as name
        cross join lateral (
            select
                pg_get_viewdef(attrelid) || array_agg(
                    row(attname, atttypid, atttypmod, attcollation) order by attnum
                )::text as definition
            from pg_attribute
            where attrelid = to_regclass(name) and attnum > 0
            group by attrelid
        ) as views;
        drop view {{ new }};
        if is_unchanged then
            return;
        end if;

        set local lock_timeout = '200ms';
        loop
            begin
                {% if should_full_refresh() -%}
                drop view if exists {{ old }} cascade;
                {% endif -%}
                create or replace view {{ old }} as (
                    {{ sql }}
                );
                return;
            exception when lock_not_available then
                if clock_timestamp() > gives_up_at then
                    raise exception using
                        errcode = 'lock_not_available',
                        message = {{ dbt.string_literal(
                            'view ' ~ old ~ ' cannot be replaced: queries have been reading it'
                            ~ ' for 5 minutes without a pause'
                        ) }},
                        hint = 'End that query (see pg_stat_activity), or build again later.';
                end if;
            end;
            perform pg_sleep(0.5);
        end loop;
    end
    $replace_view$;
{% endmacro %}
