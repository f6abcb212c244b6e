{#
    The pairs of two letters that a campaign's name is made of, as an array: in lower case, with
    letters that look alike folded, like the names of pools. Two names are as similar as the share of
    pairs that they have in common.
#}
{% macro letter_pairs(name) -%}
    array(
        select distinct substr(folded.name, place.place, 2)
        from (select ' ' || {{ pool_name_foldings(name).look_alike }} || ' ' as name) as folded
        cross join lateral generate_series(1, length(folded.name) - 1) as place (place)
    )
{%- endmacro %}


{# From 0, nothing in common, to 1. #}
{% macro similarity(pairs, other_pairs) -%}
    round(
        2.0 * (
            select count(*)
            from unnest({{ pairs }}) as mine (pair)
            where mine.pair = any({{ other_pairs }})
        ) / (cardinality({{ pairs }}) + cardinality({{ other_pairs }})),
        3
    )
{%- endmacro %}


{# From which similarity on a name may be meant for another. #}
{% macro least_similarity() -%}
    0.5
{%- endmacro %}
