{#
    A full refresh drops the views on a table before it makes the table again, in a transaction of
    its own.

    dbt itself drops them with the old table, once the new one is made. Two tables dropped at the
    same time lock the views that read both, each in its own order, and block each other: Postgres
    then ends one of them, and the build fails.
#}
{% macro drop_views_on(table) %}
    {%- if should_full_refresh() and load_cached_relation(table) is not none %}
    {%- call statement('drop_views') -%}
    {%- call give_way_to_readers('a view on ' ~ table.include(database=false) ~ ' cannot be dropped') %}
    perform pg_advisory_xact_lock({{ lock_key('views', target.schema) }});
    execute (
        with recursive on_it as (
            select to_regclass({{ dbt.string_literal(table.include(database=false) | string) }})::oid as id
            union
            select rules.ev_class
            from on_it
            inner join pg_depend as uses
                on on_it.id = uses.refobjid and uses.refclassid = 'pg_class'::regclass
                    and uses.classid = 'pg_rewrite'::regclass
            inner join pg_rewrite as rules on uses.objid = rules.oid
        )

        -- Names, not `regclass`: of a view that another thread drops just now, that is a number.
        select
            coalesce(string_agg(format(
                'drop %s if exists %I.%I cascade',
                case views.relkind when 'm' then 'materialized view' else 'view' end,
                schemas.nspname,
                views.relname
            ), '; '), 'select')
        from pg_class as views
        inner join pg_namespace as schemas on views.relnamespace = schemas.oid
        where views.oid in (select id from on_it) and views.relkind in ('v', 'm')
    );
    {%- endcall %}
    commit;
    {#- dbt begins one transaction per connection and no second: what follows would run in none. #}
    begin
    {%- endcall %}
    {%- endif -%}
{% endmacro %}
