{#
    Pre-hook of incremental models. Postgres compiles no query: it expects much work of ours and
    compiles them first, which takes longer than the work. On Debian's Postgres, where compiling is
    on, a build without new calls took 9 s instead of 4.

    Citus passes settings on to its nodes only if told to, and then the whole text that they stand
    in: here must be nothing else. With local execution, it could not write a table that it has made
    in the same transaction. A first build compares the callers of all projects on the coordinator,
    which is more than the 1 GB that Citus collects by default.
#}
{% macro transaction_settings() %}
    {%- if execute and model.config.materialized == 'incremental' -%}
    {{ settings_to_fill_a_table() }}
    {%- endif -%}
{% endmacro %}


{% macro settings_to_fill_a_table() %}
    {%- if is_distributed() -%}
    set local citus.propagate_set_commands = 'local';
    set local citus.enable_local_execution = off;
    set local citus.max_intermediate_result_size = -1;
    {% endif -%}
    set local jit = off
{% endmacro %}
