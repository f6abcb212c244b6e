{#
    How the API's loosely typed values are read. White space is spelled out, including the no-break
    space, because the meaning of `\s` and `lower()` depends on the server's locale.
#}
{% macro whitespace() -%}
    E' \t\n\r\f\v\u00a0'
{%- endmacro %}


{% macro is_blank(value) -%}
    coalesce(btrim({{ value }}, {{ whitespace() }}), '') = ''
{%- endmacro %}


{# 36, "36" and "36.0" are 36; anything else is null, never an error. #}
{% macro whole_number(value) -%}
    case
        when btrim({{ value }}, {{ whitespace() }}) ~ '^-?[0-9]{1,15}(\.[0-9]+)?$'
            then trunc(btrim({{ value }}, {{ whitespace() }})::numeric)::bigint
    end
{%- endmacro %}


{# 0/1, "0"/"1", true/false, yes/no; anything else is null. #}
{% macro flag(value) -%}
    case
        when lower(btrim({{ value }}, {{ whitespace() }})) in ('1', 'true', 'yes') then true
        when lower(btrim({{ value }}, {{ whitespace() }})) in ('0', 'false', 'no') then false
    end
{%- endmacro %}


{#
    `2024-01-31` under any DateStyle, from 2000 to 2100; anything else is null, never an error.
#}
{% macro day(value) -%}
    case
        when
            {{ value }} ~ '^(20[0-9]{2}|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
            and {{ value }} !~ '-02-3|-(04|06|09|11)-31$'
            -- 29 February in leap years only
            and ({{ value }} !~ '-02-29$' or {{ value }} ~ '^20([02468][048]|[13579][26])-')
            then {{ value }}::date
    end
{%- endmacro %}


{#
    The digits of a phone number, null if there are none: `+380 44 111` and `38044111` are one. If a
    name stands before it, as in `"Shop 2" <38044111>`, the number is what stands in the last angle
    brackets.
#}
{% macro digits(value) -%}
    nullif(
        regexp_replace(
            coalesce(substring({{ value }} from '.*<([^<>]*)>'), {{ value }}), '[^0-9]', '', 'g'
        ),
        ''
    )
{%- endmacro %}


{# 150, "150" and "150.50" are numbers; anything else is null, never an error. #}
{% macro decimal_number(value) -%}
    case
        when btrim({{ value }}, {{ whitespace() }}) ~ '^-?[0-9]{1,15}(\.[0-9]{1,6})?$'
            then btrim({{ value }}, {{ whitespace() }})::numeric
    end
{%- endmacro %}


{# `no_answer`, `NO-ANSWER` and `No  Answer` are one disposition: `NO ANSWER`. #}
{% macro normalised_disposition(value) -%}
    btrim(regexp_replace(upper({{ value }}), E'[_+\\- \t\n\r\f\v\u00a0]+', ' ', 'g'))
{%- endmacro %}
