{#
    The names of columns that tell who called, as a regular expression: neither the marts nor a log
    show them. The ids are among them because an id that the loader made is a hash of a row with the
    phone number in it.
#}
{% macro personal_columns() -%}
    {{ return(
        '^(caller|caller_number|caller_digits|dst|phone|email|landing|call_card|payload'
        ~ '|call_id|form_id|contact_id|landed_id)$|_ip$|recording'
    ) }}
{%- endmacro %}
