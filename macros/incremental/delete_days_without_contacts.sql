{# Post-hook: deletes the days whose last contact is gone. #}
{% macro delete_days_without_contacts() %}
    delete from {{ this }}
    where written_at is null
{% endmacro %}
