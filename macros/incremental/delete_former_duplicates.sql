{# Post-hook: deletes the pairs of which a contact is gone, or is no such conversion any longer. #}
{% macro delete_former_duplicates(contacts) %}
    {%- if is_incremental() -%}
    delete from {{ this }} as pairs
    where
        (pairs.project_id, pairs.contact_id, pairs.other_project_id, pairs.other_contact_id) in (
            select project_id, contact_id, other_project_id, other_contact_id
            from {{ this }}
            where project_id <> other_project_id
            except
            select one.project_id, one.contact_id, one.other_project_id, one.other_contact_id
            from (
                select
                    known.project_id,
                    known.contact_id,
                    known.other_project_id,
                    known.other_contact_id,
                    contacts.caller_digits,
                    contacts.occurred_at
                from {{ this }} as known
                inner join {{ contacts }} as contacts
                    on
                        known.project_id = contacts.project_id
                        and known.contact_id = contacts.contact_id
                where contacts.is_conversion
                {{ 'offset 0' if is_distributed() }}
            ) as one
            inner join {{ contacts }} as other
                on
                    one.other_project_id = other.project_id
                    and one.other_contact_id = other.contact_id
                    and {{ may_be_duplicate('one', 'other') }}
            where other.is_conversion
        )
    {%- endif -%}
{% endmacro %}
