{#
    On-run-start: stops the build if a setting is misspelt or has a wrong value. The error lists all
    faults, one per line.
#}
{% macro check_settings() %}
    {%- if execute and selects_ours() -%}
    {%- set values = setting_values() -%}
    {%- set faults = [] -%}
    {%- for name in given_settings() if name not in values -%}
        {%- do faults.append(
            name ~ ' is not a setting: the settings are ' ~ values | join(', ')
        ) -%}
    {%- endfor -%}
    {%- for name, rule in values.items() if not is_right_setting(var(name), rule) -%}
        {%- do faults.append(name ~ ' is ' ~ shown(var(name)) ~ ', but must ' ~ rule.must) -%}
    {%- endfor -%}
    {%- set stale_hours = env_var('RINGOSTAT_STALE_HOURS', '26') -%}
    {%- if not modules.re.fullmatch('[0-9]{1,6}([.][0-9]+)?', stale_hours) -%}
        {%- do faults.append(
            'RINGOSTAT_STALE_HOURS is ' ~ shown(stale_hours) ~ ', but must be a number of hours'
        ) -%}
    {%- endif -%}
    {%- set distributed = env_var('RINGOSTAT_DISTRIBUTED', '') -%}
    {%- if distributed not in ('', '0', '1') -%}
        {%- do faults.append(
            'RINGOSTAT_DISTRIBUTED is ' ~ shown(distributed) ~ ', but must be 0 or 1'
        ) -%}
    {%- else -%}
        {%- set is_spread = are_raw_tables_spread() -%}
        {%- if is_spread and not is_distributed() -%}
            {%- do faults.append(
                'RINGOSTAT_DISTRIBUTED is not 1, but the raw tables are spread over the nodes of Citus'
            ) -%}
        {%- elif is_distributed() and not is_spread -%}
            {%- do faults.append(
                'RINGOSTAT_DISTRIBUTED is 1, but the raw tables are not spread over the nodes of'
                ~ ' Citus: run `ringostat load` with it'
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {#- `ringostat` gives the file's vars to dbt, and does not pass on the variable. -#}
    {%- if project_name == 'ringostat' and env_var('RINGOSTAT_VARS', '')
        and not invocation_args_dict.vars -%}
        {%- do faults.append(
            'RINGOSTAT_VARS is set, but dbt was given no vars: add --vars "$(cat "$RINGOSTAT_VARS")"'
        ) -%}
    {%- endif -%}
    {%- if faults -%}
        {%- do exceptions.raise_compiler_error(faults | join('\n')) -%}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}


{#
    The names of vars below `ringostat` in dbt_project.yml and, in this project itself, those that
    begin with `ringostat_` there and in `--vars`. In a project that installs this one, such a name
    may be a var of its own.
#}
{% macro given_settings() %}
    {%- set names = [] -%}
    {%- for project in var.packages_for_node() -%}
        {%- do names.extend(project.vars.to_dict().get('ringostat', {})) -%}
        {%- if project_name == 'ringostat' -%}
            {%- for name in project.vars.to_dict() | list + (invocation_args_dict.vars or {}) | list
                if name is string and name.startswith('ringostat_') -%}
                {%- do names.append(name) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(names | unique | list) }}
{% endmacro %}


{% macro is_right_setting(value, rule) %}
    {%- if value is none -%}
        {{ return(rule.optional or false) }}
    {%- endif -%}
    {%- if rule.one_of is defined and value not in rule.one_of -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if rule.kind == 'text' -%}
        {{ return(value is string and value | trim | length > 0) }}
    {%- elif rule.kind == 'words' -%}
        {%- if value is string or value is mapping or value is not iterable -%}
            {{ return(false) }}
        {%- endif -%}
        {%- set wrong = [] -%}
        {%- for word in value -%}
            {%- if word is not string or word != word | lower
                or not modules.re.fullmatch("[^\\s,'\"]+", word) -%}
                {%- do wrong.append(word) -%}
            {%- endif -%}
        {%- endfor -%}
        {{ return(not wrong) }}
    {%- elif rule.kind == 'flag' -%}
        {{ return(value is boolean) }}
    {%- elif rule.kind in ('whole', 'number') -%}
        {%- if value is boolean or value is not number or (rule.kind == 'whole' and value is float) -%}
            {{ return(false) }}
        {%- endif -%}
        {{ return(rule.least <= value <= rule.most) }}
    {%- endif -%}
    {{ return(true) }}
{% endmacro %}


{# A value as YAML writes it. #}
{% macro shown(value) %}
    {{ return('"' ~ value ~ '"' if value is string else tojson(value, value | string)) }}
{% endmacro %}
