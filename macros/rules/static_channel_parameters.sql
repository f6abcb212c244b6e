{#
    The parameters of a call that a static channel may name, in order of precedence: if two channels
    match one call, the one whose parameter comes first here wins.
#}
{% macro static_channel_parameters() %}
    {{ return([
        'n_alias', 'dst', 'pool_name', 'scheme_name', 'department', 'additional_number',
        'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term',
    ]) }}
{% endmacro %}
