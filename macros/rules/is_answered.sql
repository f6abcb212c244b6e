{#
    Whether a call became a conversation; null while nobody knows, because the call is in progress: it
    is listed with no disposition or with one of these, and its row changes when it ends.
#}
{% macro is_answered(disposition) -%}
    case
        when {{ normalised_disposition(disposition) }} in ('ANSWERED', 'PROPER', 'REPEATED')
            then true
        when
            coalesce({{ normalised_disposition(disposition) }}, '')
            not in ('', 'CALLING', 'IN PROGRESS')
            then false
    end
{%- endmacro %}
