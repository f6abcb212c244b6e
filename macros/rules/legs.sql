{#
    A transferred call is one request in several rows of Ringostat's log: `in`, then `transitin`. A
    `transitin` is a leg of the request before it if it begins at most `ringostat_transfer_seconds`
    after another incoming call of the same project and caller. Legs chain: each is compared with
    the row before it. Without a caller's number nobody knows whose request it is, so the row is a
    request of its own; so is every row if the var is 0.

    `previous_call_at` is when that other call began, null if there is none. `transitout` is the same
    of outgoing calls.
#}
{% macro is_leg(call_type, caller_digits, occurred_at, previous_call_at, transfer='transitin') -%}
    {%- set seconds = var('ringostat_transfer_seconds') -%}
    {%- if seconds == 0 -%}
    false
    {%- else -%}
    coalesce(
        {{ call_type }} = '{{ transfer }}'
        and {{ caller_digits }} is not null
        and {{ occurred_at }} - {{ previous_call_at }} <= make_interval(secs => {{ seconds }}),
        false
    )
    {%- endif -%}
{%- endmacro %}


{#
    What the rows of a request make of it. Its id, time, channel and waiting time, and whether it is
    primary, are those of the first row; its talk seconds are the sum, its tags those of all rows.
#}

{# Answered if any row was; else not known while any row is in progress. #}
{% macro is_answered_request(is_answered, window) -%}
    case
        when bool_or({{ is_answered }}) {{ window }} then true
        when bool_and({{ is_answered }} is not null) {{ window }} then false
    end
{%- endmacro %}


{# The best disposition of the rows, in order; without a conversation, that of the first row. #}
{% macro disposition_of_request(dispositions) -%}
    (
        select leg.disposition
        from unnest({{ dispositions }}) with ordinality as leg (disposition, place)
        order by
            coalesce(
                array_position(
                    array['PROPER', 'REPEATED', 'ANSWERED'],
                    {{ normalised_disposition('leg.disposition') }}
                ),
                4
            ),
            leg.place
        limit 1
    )
{%- endmacro %}


{# The category is that of the first row with one: its tag key stands for the request. #}
{% macro tag_key_of_request(tag_keys, category_numbers) -%}
    (
        select leg.tag_key
        from
            unnest({{ tag_keys }}, {{ category_numbers }})
            with ordinality as leg (tag_key, category_number, place)
        order by
            case when {{ has_category('leg.category_number') }} then 1 else 2 end,
            leg.place
        limit 1
    )
{%- endmacro %}
