{#
    A pool is dynamic if most of its conversions have a visit: the site shows each visitor a number of
    it. The numbers of a static pool are on a billboard or in a classified, where nobody has a visit,
    except by accident. The channels of the pool do not matter: a channel that overrides the labels does
    not make the pool static.

    loader/commands/connect.py has the same rule.
#}
{% macro is_dynamic_pool(with_visit, conversions) -%}
    {{ with_visit }} * 2 > {{ conversions }}
{%- endmacro %}
