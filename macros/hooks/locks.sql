{#
    Locks between builds. Each is held until the model's transaction ends, and taken before its
    statement begins, so that the statement sees all that the holder before it has committed.
#}

{#
    Pre-hook of all models and seeds: builds at the same time take turns model by model, so that each
    reads its watermark after the other has written. `ringostat project delete` waits for the models
    under way; `ringostat run` holds the key of the build for the whole of it, and says so to dbt.
#}
{% macro lock_model() %}
    {%- if execute -%}
    {%- if env_var('RINGOSTAT_BUILD_LOCK', '') != 'held' -%}
    select pg_advisory_xact_lock_shared({{ lock_key('build', target.schema) }});
    {% endif -%}
    select pg_advisory_xact_lock({{ lock_key('model', this.schema ~ '.' ~ this.identifier) }})
    {%- endif -%}
{% endmacro %}


{# Pre-hook of the staging models: they commit in order of `staged_at`, calls and forms together. #}
{% macro lock_staging() %}
    select pg_advisory_xact_lock({{ lock_key('staging', target.schema) }})
{% endmacro %}


{% macro lock_key(what, name) -%}
    hashtextextended({{ dbt.string_literal('ringostat ' ~ what ~ ' ' ~ name) }}, 0)
{%- endmacro %}
