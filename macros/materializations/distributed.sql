{#
    Past one machine: with RINGOSTAT_DISTRIBUTED=1 every table of this project is spread over the
    nodes of Citus by `project_id`, next to the raw tables, so that each node joins its own projects.
    A table whose key has no project (spend may name none) is small, and is copied to all nodes.

    The macros here are called by their plain names, which dbt looks up in the package of a node
    first: in a project that installs this one, they do not change that project's own models.
#}
{% macro is_distributed() %}
    {{ return(env_var('RINGOSTAT_DISTRIBUTED', '') == '1') }}
{% endmacro %}


{# Whether `ringostat load` has spread the raw tables. #}
{% macro are_raw_tables_spread() %}
    {%- set has_citus = run_query(
        "select to_regclass('pg_dist_partition') is not null and to_regclass('ringostat_raw.calls')"
        ~ " is not null"
    ).rows[0][0] -%}
    {{ return(
        has_citus and run_query(
            "select 1 from pg_dist_partition"
            ~ " where logicalrelid = 'ringostat_raw.calls'::regclass and partmethod = 'h'"
        ).rows | length > 0
    ) }}
{% endmacro %}


{#
    `as{{ spread() }} (` of a CTE that is read more than once, or that a lateral join starts from.
    Citus works out any other such CTE on the nodes, collects its rows on the coordinator and sends
    them to all nodes; Postgres alone is faster if it keeps the rows.
#}
{% macro spread() -%}
    {{ ' not materialized' if is_distributed() }}
{%- endmacro %}


{#
    `as{{ kept() }} (` of a CTE of a model that holds a union, a full join or rows to aggregate, and
    is joined afterwards: Citus does not plan all that in one query. `create_table_as` writes such a
    CTE of an incremental model to a table that is spread like the model's own, so its rows stay where
    they are. In a view, Citus collects them on the coordinator: there they must be few.
#}
{% macro kept() -%}
    {{ ' materialized' if is_distributed() }}
{%- endmacro %}


{#
    The statement that spreads the new, empty table `relation`, or one that was filled on a single
    machine: its rows are moved.
#}
{% macro distribute(relation, is_by_project) %}
    {%- set name = dbt.string_literal(relation.include(database=false)) -%}
    {%- if is_by_project -%}
    select create_distributed_table(
        {{ name }}, 'project_id', colocate_with => 'ringostat_raw.calls'
    )
    {%- else -%}
    select create_reference_table({{ name }})
    {%- endif -%}
{% endmacro %}


{# Whether each row of an incremental model has a project. #}
{% macro is_keyed_by_project() %}
    {%- set keys = config.get('unique_key') -%}
    {{ return('project_id' in ([keys] if keys is string else keys)) }}
{% endmacro %}


{#
    Spreads a table that was built before the switch was set, so that nobody must build history again.
#}
{% macro distribute_existing() %}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing and existing.is_table and not should_full_refresh() and not run_query(
        "select 1 from pg_dist_partition where logicalrelid = "
        ~ dbt.string_literal(this.include(database=false)) ~ "::regclass"
    ).rows -%}
    {{ distribute(this, is_keyed_by_project()) }};
    select truncate_local_data_after_distributing_table(
        {{ dbt.string_literal(this.include(database=false)) }}
    )
    {%- endif -%}
{% endmacro %}


{#
    A new table is filled where its rows stay: created empty, spread, and filled by a query that each
    node answers for its own projects. So is the table of the rows that an incremental run has
    computed: a temporary one would collect them on the coordinator, and Citus could not compare them
    with those of the nodes.
#}
{% macro create_table_as(temporary, relation, compiled_code, language='sql') %}
    {%- if not is_distributed() or model.config.materialized != 'incremental' -%}
    {{ adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code) }}
    {%- else -%}
    {%- set parts = modules.re.split(kept_ctes(), compiled_code) -%}
    {%- set query = namespace(text=parts[0]) -%}
    {%- for place in range(1, parts | length, 3) -%}
    {%- set name, body, following = parts[place:place + 3] -%}
    {%- set scratch = scratch_relation(name) -%}
    {{ create_spread_table(
        scratch,
        query.text ~ name ~ ' as (' ~ body ~ ') select * from ' ~ name,
        is_keyed_by_project(),
    ) }};
    {% set query.text =
        query.text ~ name ~ ' as not materialized (select * from ' ~ scratch ~ ')' ~ following -%}
    {%- endfor -%}
    {{ create_spread_table(relation, query.text, is_keyed_by_project(), is_unlogged=temporary) }}
    {%- endif -%}
{% endmacro %}


{% macro create_spread_table(relation, query, is_by_project, is_unlogged=true) %}
    create {{ 'unlogged' if is_unlogged }} table {{ relation }} as (
        {{ query }}
    ) with no data;
    {{ distribute(relation, is_by_project) }};
    insert into {{ relation }} (
        {{ query }}
    )
{% endmacro %}


{# Top-level CTEs that are `kept()`, by name and text. #}
{% macro kept_ctes() %}
    {{ return('(?ms)^(\\w+) as materialized \\((.*?)^\\)') }}
{% endmacro %}


{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}
    {%- if is_distributed() and model.config.materialized == 'incremental' -%}
    {{ return(scratch_relation()) }}
    {%- else -%}
    {{ return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) }}
    {%- endif -%}
{% endmacro %}


{# A table of this run, which no other transaction ever sees. #}
{% macro scratch_relation(name='rows') %}
    {{ return(this.incorporate(
        path={'identifier': this.identifier ~ '__' ~ name}, type='table'
    )) }}
{% endmacro %}


{# Post-hook of incremental models. #}
{% macro drop_scratch() %}
    {%- if execute and is_distributed() and model.config.materialized == 'incremental' -%}
    {%- set names = ['rows'] -%}
    {%- for name, _ in modules.re.findall(kept_ctes(), model.compiled_code) -%}
        {%- do names.append(name) -%}
    {%- endfor -%}
    drop table if exists {% for name in names %}{{ scratch_relation(name) }}{{ ', ' if not loop.last }}{% endfor %}
    {%- endif -%}
{% endmacro %}
