{# Post-hook: deletes the pairs of which a contact is gone, or is no such conversion any longer. #}
{% macro delete_former_duplicates(contacts) %}
    {%- if is_incremental() -%}
    delete from {{ this }} as pairs
    where
        pairs.project_id <> pairs.other_project_id
        and not exists (
            select
            from {{ contacts }} as one
            inner join {{ contacts }} as other
                on {{ may_be_duplicate('one', 'other') }}
            where
                one.project_id = pairs.project_id
                and one.contact_id = pairs.contact_id
                and one.is_conversion
                and other.project_id = pairs.other_project_id
                and other.contact_id = pairs.other_contact_id
                and other.is_conversion
        )
    {%- endif -%}
{% endmacro %}
