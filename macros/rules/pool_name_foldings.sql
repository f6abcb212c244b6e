{#
    The ways in which two pool names may differ although one pool is meant, the slightest first:
    each folding removes one more difference. Upper and lower case of Cyrillic, and of the Latin twin
    of its Ї, are spelled out, because `lower()` depends on the server's locale there.
#}
{% macro pool_name_foldings(name) %}
    {%- set whitespace = "btrim(regexp_replace(" ~ name
        ~ ", E'[ \\t\\n\\r\\f\\v\\u00a0]+', ' ', 'g'))" -%}
    {%- set case = "translate(lower(" ~ whitespace ~ "),"
        ~ " 'АБВГҐДЕЁЄЖЗИІЇЙКЛМНОПРСТУЎФХЦЧШЩЪЫЬЭЮЯÏ',"
        ~ " 'абвгґдеёєжзиіїйклмнопрстуўфхцчшщъыьэюяï')" -%}
    {%- set look_alike = "translate(" ~ case ~ ", 'abcehikmoptxyï', 'авсенікмортхуї')" -%}
    {{ return({'whitespace': whitespace, 'case': case, 'look_alike': look_alike}) }}
{% endmacro %}
