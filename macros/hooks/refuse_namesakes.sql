{#
    On-run-start: where this project is a package, dbt 1.11 searches the project that installs it
    before the package for what a `ref` names. A model there that is called `projects` would be read
    here instead of the seed. If the seed is disabled, somebody has replaced it on purpose.
#}
{% macro refuse_namesakes() %}
    {%- if execute and selects_ours() -%}
    {%- for node in graph.nodes.values() if node.package_name == 'ringostat' -%}
        {%- for id in node.depends_on.get('nodes', []) -%}
            {%- set read = graph.nodes.get(id, node) -%}
            {%- for kind in ['model', 'seed']
                if read.package_name != 'ringostat' and kind ~ '.ringostat.' ~ read.name in graph.nodes -%}
                {%- do exceptions.raise_compiler_error(
                    'nothing was built: ' ~ node.unique_id ~ ' would read ' ~ id
                    ~ ', which has the name of one of ringostat. Rename yours, or set the flag'
                    ~ ' require_ref_searches_node_package_before_root in dbt_project.yml'
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- endif -%}
{% endmacro %}
