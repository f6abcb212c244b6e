{#
    The salt of everything that identifies a phone number. The query looks it up in the database:
    values in SQL text also get into logs, dbt's artifacts and the documentation.
#}
{% macro caller_salt() -%}
    (
        select settings.value
        from {{ source('ringostat', 'settings') }} as settings
        where settings.name = 'caller_salt'
    )
{%- endmacro %}


{# Without the salt nobody can find `text` from this hash, not even by trying all phone numbers. #}
{% macro salted_hash(text) -%}
    encode(sha256(convert_to({{ caller_salt() }} || {{ text }}, 'UTF8')), 'hex')
{%- endmacro %}


{# Identifies a caller without the number, the same in every project. #}
{% macro caller_key(digits) -%}
    {{ salted_hash(digits) }}
{%- endmacro %}


{#
    A call's or form's id that everybody may see. If Ringostat gave none, the loader made one: a
    hash of a row that includes the phone number, which can be found by trying all numbers. Such an
    id is hashed again, with the salt.
#}
{% macro public_id(landed_id) -%}
    case
        when {{ landed_id }} like 'sha256:%' then 'sha256:' || {{ salted_hash(landed_id) }}
        else {{ landed_id }}
    end
{%- endmacro %}


{# Pre-hook: stops the build if there is no salt, so that no key is made with an empty one. #}
{% macro require_caller_salt(settings) %}
    {%- if execute and (
        not load_relation(settings)
        or not run_query("select 1 from " ~ settings ~ " where name = 'caller_salt'").rows
    ) -%}
    {%- do exceptions.raise_compiler_error(
        "The salt of caller_key is missing in " ~ settings.include(database=false)
        ~ ": run `ringostat load` once, which stores it there"
    ) -%}
    {%- endif -%}
{% endmacro %}
