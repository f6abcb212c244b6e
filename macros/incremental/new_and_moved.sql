{#
    The keys to write, among those computed in this run: new keys and, in an edited project (its
    watermark is -infinity), keys that moved: their channels or stretches of days have changed. The
    project's newest key is always written: the next run reads from it what the project is
    `made_with`.

    Two columns are added. `earlier_labels` of a moved key is a JSON array of all labels that it has
    had: whoever counts by label must count again what it has left. `labelled_at` is null for a key
    that gets its labels in this run.

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

    edited as (
        select project_id from watermarks where staged_at = '-infinity'
    ),

    stretches_now as (
        select {{ columns }}
        from {{ stretches }}
        where project_id in (select project_id from edited)
    ),

    stretches_before as (
        select {{ columns }}
        from {{ this }}
        where channel_id is not null and project_id in (select project_id from edited)
    ),

    moved as (
        select project_id, attribution_key
        from (select * from stretches_now except select * from stretches_before) as gained
        union
        select project_id, attribution_key
        from (select * from stretches_before except select * from stretches_now) as lost
    ),

    to_write as (
        select project_id, attribution_key, bool_or(is_moved) as is_moved
        from (
            select project_id, attribution_key, true as is_moved from moved
            union all
            select keys.project_id, keys.attribution_key, false as is_moved
            from {{ keys }} as keys
            inner join taken
                on
                    keys.project_id = taken.project_id
                    and (keys.staged_at > taken.staged_at or keys.{{ newest }} = taken.{{ newest }})
        ) as reasons
        group by project_id, attribution_key
    ),

    before as (
        select
            to_write.project_id,
            to_write.attribution_key,
            case
                when to_write.is_moved then jsonb_agg(distinct had.labels)::text
                else max(labelled.earlier_labels)
            end as earlier_labels,
            case when not to_write.is_moved then max(labelled.labelled_at) end as labelled_at
        from to_write
        inner join {{ this }} as labelled
            on
                to_write.project_id = labelled.project_id
                and to_write.attribution_key = labelled.attribution_key
        cross join lateral (
            select jsonb_build_object(
                'traffic_source', labelled.traffic_source,
                'traffic_type', labelled.traffic_type,
                'campaign', labelled.campaign
            ) as labels
            union all
            select jsonb_array_elements(labelled.earlier_labels::jsonb)
        ) as had
        group by to_write.project_id, to_write.attribution_key, to_write.is_moved
    )

    select
        keys.*,
        before.earlier_labels,
        before.labelled_at
    from {{ keys }} as keys
    inner join to_write
        on
            keys.project_id = to_write.project_id
            and keys.attribution_key = to_write.attribution_key
    left join before
        on
            keys.project_id = before.project_id
            and keys.attribution_key = before.attribution_key
    {%- else -%}
    select
        *,
        null::text as earlier_labels,
        null::timestamptz as labelled_at
    from {{ keys }}
    {%- endif -%}
{% endmacro %}
