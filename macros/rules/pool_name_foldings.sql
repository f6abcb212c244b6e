{#
    The ways in which two pool names may differ and still be meant as one, from the slightest on:
    each folding undoes one more. Upper and lower case of Cyrillic are spelled out, because what
    `lower()` knows of them depends on the server's locale.
#}
{% macro pool_name_foldings(name) %}
    {%- set whitespace = "btrim(regexp_replace(" ~ name
        ~ ", E'[ \\t\\n\\r\\f\\v\\u00a0]+', ' ', 'g'))" -%}
    {%- set case = "translate(lower(" ~ whitespace ~ "),"
        ~ " 'АБВГҐДЕЁЄЖЗИІЇЙКЛМНОПРСТУЎФХЦЧШЩЪЫЬЭЮЯ',"
        ~ " 'абвгґдеёєжзиіїйклмнопрстуўфхцчшщъыьэюя')" -%}
    {%- set look_alike = "translate(" ~ case ~ ", 'abcehikmoptxyï', 'авсенікмортхуї')" -%}
    {{ return({'whitespace': whitespace, 'case': case, 'look_alike': look_alike}) }}
{% endmacro %}
