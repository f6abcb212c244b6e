{#
    A mart as a table, in place of its view: where the tables are spread and `ringostat_bi_role` is
    set. The nodes of Citus check what the reader may read, not what the owner of the view may
    (citus#1683), and the role may read the marts alone.

    Once it is a table, a run computes the mart and writes the rows that differ, in one transaction:
    readers wait for nothing and views on the table are kept. If its columns change, it is made again
    as in a full refresh. What depends on the time of day, as in rpt_load_status, is as of the build.
#}
{% macro is_mart_table() %}
    {{ return(
        is_distributed() and var('ringostat_bi_role') is not none
        and model.fqn[:2] == ['ringostat', 'marts']
    ) }}
{% endmacro %}


{% macro build_mart_table(existing, query) %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set is_kept = existing is not none and existing.is_table and not should_full_refresh()
        and columns_of(query) == columns_of('select * from ' ~ target) -%}
    {{ get_assert_columns_equivalent(query) }}
    {% do run_query(transaction_settings()) %}
    {% if existing is not none and not is_kept %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') -%}
        {% if is_kept -%}
        {%- set computed = scratch_relation() -%}
        {{ create_spread_table(computed, query, not has_rows_of_no_project()) }};
        delete from {{ target }} as before
        where not exists (
            select 1
            from {{ computed }} as after
            where {{ is_same_row_of_mart() }}
        );
        insert into {{ target }}
        select *
        from {{ computed }} as after
        where not exists (
            select 1
            from {{ target }} as before
            where {{ is_same_row_of_mart() }}
        );
        drop table {{ computed }};
        {%- else -%}
        {{ create_spread_table(
            target, query, not has_rows_of_no_project(), is_unlogged=false
        ) }};
        {%- endif %}
        analyze {{ target }}
    {%- endcall %}
    {{ return(target) }}
{% endmacro %}


{# Names and types of a query's columns. #}
{% macro columns_of(query) %}
    {%- set found = [] -%}
    {%- for column in get_column_schema_from_query(query) -%}
        {%- do found.append([column.name, column.data_type]) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}


{# The rows of a project are compared by one hash each, not each with each. #}
{% macro is_same_row_of_mart() -%}
    md5(after::text) = md5(before::text)
    {%- if not has_rows_of_no_project() %} and after.project_id = before.project_id{% endif %}
{%- endmacro %}


{# Spend may belong to no project: such a mart is small, and is copied to all nodes. #}
{% macro has_rows_of_no_project() %}
    {{ return(model.name in ['rpt_spend_daily', 'rpt_campaigns_monthly', 'rpt_spend_audit']) }}
{% endmacro %}
