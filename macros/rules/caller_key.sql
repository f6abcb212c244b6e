{#
    The salt of all that stands for a phone number. The database looks it up by itself: whatever is
    in SQL text is also in logs, in dbt's artifacts and on the documentation's page.
#}
{% macro caller_salt() -%}
    (
        select settings.value
        from {{ source('ringostat', 'settings') }} as settings
        where settings.name = 'caller_salt'
    )
{%- endmacro %}


{# Nobody can turn this back into `text` without the salt, not even by trying all phone numbers. #}
{% macro salted_hash(text) -%}
    encode(sha256(convert_to({{ caller_salt() }} || {{ text }}, 'UTF8')), 'hex')
{%- endmacro %}


{# A caller without the number: the same for one caller everywhere. #}
{% macro caller_key(digits) -%}
    {{ salted_hash(digits) }}
{%- endmacro %}


{#
    A call's or form's id for everybody to see. Where Ringostat gave none, the loader made one: a
    hash of a row with the phone number in it, which can be found by trying all numbers. That is
    hashed again, with the salt.
#}
{% macro public_id(landed_id) -%}
    case
        when {{ landed_id }} like 'sha256:%' then 'sha256:' || {{ salted_hash(landed_id) }}
        else {{ landed_id }}
    end
{%- endmacro %}


{# Pre-hook: without a salt the build stops, and no key is ever made with an empty one. #}
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
