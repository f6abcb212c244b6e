{#
    Locks between builds. A model takes its lock before its statement begins and holds it until its
    transaction ends, so that the statement sees everything that the previous holder has committed.
#}

{#
    Pre-hook of all models and seeds: builds that run at the same time take turns model by model, so
    that each reads its watermark after the other has written. `ringostat project delete` waits for
    the running models; `ringostat run` holds the lock for the whole build, and tells dbt so.

    On Citus a model is several statements (`kept()`), which must see one state of the models before
    it: no other model is committed meanwhile, so plain builds run one model at a time.
#}
{% macro lock_model() %}
    {%- if execute -%}
    {%- if env_var('RINGOSTAT_BUILD_LOCK', '') != 'held' -%}
    select pg_advisory_xact_lock{{ '_shared' if not is_distributed() }}({{ lock_key('build', target.schema) }});
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
