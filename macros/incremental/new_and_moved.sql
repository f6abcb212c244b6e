{#
    The keys to write, among those computed in this run: new keys and, in an edited project (its
    watermark is -infinity), keys whose channels or stretches of days have changed. The project's
    newest key is always written: the next run reads from it what the project is `made_with`.

    keys       the CTE that `new_rows` has made
    stretches  a CTE: the present stretches of the keys
    newest     the column that orders keys of one moment, as in `watermarks`
#}
{% macro new_and_moved(keys, stretches, newest) %}
    {%- set columns = [
        'project_id', 'attribution_key', 'starts_on', 'ends_before', 'channel_id',
        'traffic_source', 'traffic_type', 'campaign',
    ] | join(', ') -%}
    {%- if is_incremental() -%}
    with

    taken as (
        {{ watermarks('projects', newest=newest) }}
    ),

    stretches_now as (
        select {{ columns }} from {{ stretches }}
    ),

    stretches_before as (
        select {{ columns }}
        from {{ this }}
        where
            channel_id is not null
            and project_id in (select project_id from watermarks where staged_at = '-infinity')
    ),

    to_write as (
        select keys.project_id, keys.attribution_key
        from {{ keys }} as keys
        inner join taken
            on
                keys.project_id = taken.project_id
                and (keys.staged_at > taken.staged_at or keys.{{ newest }} = taken.{{ newest }})
        union
        select project_id, attribution_key
        from (select * from stretches_now except select * from stretches_before) as gained
        union
        select project_id, attribution_key
        from (select * from stretches_before except select * from stretches_now) as lost
    )

    select keys.*
    from {{ keys }} as keys
    inner join to_write
        on
            keys.project_id = to_write.project_id
            and keys.attribution_key = to_write.attribution_key
    {%- else -%}
    select * from {{ keys }}
    {%- endif -%}
{% endmacro %}
