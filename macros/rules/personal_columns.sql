{#
    The names of columns with personal data, as a regular expression: neither the marts nor a log
    show them. Ids are included because an id that the loader made is a hash of a row with the phone
    number.
#}
{% macro personal_columns() -%}
    {{ return(
        '^(caller|caller_number|caller_digits|dialled_digits|dst|phone|email|call_card|payload'
        ~ '|call_id|form_id|contact_id|landed_id)$|_ip$|recording'
    ) }}
{%- endmacro %}
