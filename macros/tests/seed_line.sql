{# A seed's row as in its CSV file: a failing test shows it, so that the user can find the row. #}
{% macro seed_line(seed, columns) -%}
    'seeds/{{ seed }}.csv: '
    || concat_ws(
        ',',
        {% for column in columns -%}
        coalesce({{ column }}, ''){{ ',' if not loop.last }}
        {% endfor %}
    ) || ': '
{%- endmacro %}


{# Without auth_key_env: a user may have put the key there. #}
{% macro project_line() -%}
    {{ seed_line('projects', [
        'project_id', 'project_name', 'time_zone', 'kpi_mode', 'load_from', 'is_active',
    ]) }}
{%- endmacro %}


{% macro channel_line() -%}
    {{ seed_line('static_channels', [
        'project_id', 'parameter', 'parameter_value', 'traffic_source', 'traffic_type', 'campaign',
        'valid_from', 'valid_to',
    ]) }}
{%- endmacro %}


{% macro tag_line() -%}
    {{ seed_line('kpi_tags', ['project_id', 'parameter', 'parameter_value', 'tag']) }}
{%- endmacro %}


{% macro cost_line() -%}
    {{ seed_line('channel_costs', [
        'project_id', 'traffic_source', 'traffic_type', 'campaign', 'starts_on', 'ends_on', 'cost',
    ]) }}
{%- endmacro %}
