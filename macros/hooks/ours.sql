{#
    Whether this run selects any node of this project. Where it is a package, its hooks run in every
    run of the project that installs it, and must not concern a run of that project's own nodes.
#}
{% macro selects_ours() %}
    {%- for id in selected_resources if id.split('.')[1] == 'ringostat' -%}
        {{ return(true) }}
    {%- endfor -%}
    {{ return(false) }}
{% endmacro %}


{# The relation of a model, wherever the project that installs this one puts it. #}
{% macro relation_of(name) %}
    {%- set node = graph.nodes['model.ringostat.' ~ name] -%}
    {{ return(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias
    )) }}
{% endmacro %}
