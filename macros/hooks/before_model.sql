{#
    Pre-hook of all models: one, because dbt compiles the text of each hook anew for each model, which
    takes as long as running a statement.

    On Citus each step is a statement of its own: a table is looked at once the lock is held, and
    settings are passed on to the nodes with the whole text that they stand in.
#}
{% macro before_model() %}
    {%- if execute and model.config.materialized != 'incremental' -%}
    {{ lock_model() }}
    {%- elif execute -%}
    {{ drop_views_on(this) }}
    {%- if is_distributed() -%}
    {%- do run_query(lock_model()) -%}
    {%- do run_query(transaction_settings()) -%}
    {{ distribute_existing() }}
    {%- else -%}
    {{ lock_model() }};
    {{ transaction_settings() }}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}


{#
    Postgres compiles no query: it expects much work of ours and compiles them first, which takes
    longer than the work. On Debian's Postgres, where compiling is on, a build without new calls took
    9 s instead of 4.

    Citus passes settings on to its nodes only if told to. With local execution, it could not write a
    table that it has made in the same transaction. A first build compares the callers of all projects
    on the coordinator, which is more than the 1 GB that Citus collects by default.
#}
{% macro transaction_settings() %}
    {%- if is_distributed() -%}
    set local citus.propagate_set_commands = 'local';
    set local citus.enable_local_execution = off;
    set local citus.max_intermediate_result_size = -1;
    {% endif -%}
    set local jit = off
{% endmacro %}
