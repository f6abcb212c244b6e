{# Calls from the project to a client. #}
{% macro is_outgoing(call_type) -%}
    {{ call_type }} in ('out', 'transitout')
{%- endmacro %}


{#
    Post-hook: an index of the outgoing calls by the number that they went to. It gets a new name each
    time: the index of the table that a full refresh replaces still exists at this moment.
#}
{% macro index_of_outgoing_calls() %}
    {%- if not is_incremental() -%}
    create index {{ adapter.quote('outgoing_' ~ invocation_id | replace('-', '')) }}
    on {{ this }} (project_id, dialled_digits, call_at)
    where dialled_digits is not null
    {%- endif -%}
{% endmacro %}
