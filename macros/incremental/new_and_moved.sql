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

    -- Left joins: of an inner one Postgres expects one row, and then compares each key with each.
    to_write as (
        select
            keys.*,
            moved.project_id is not null as is_moved
        from {{ keys }} as keys
        left join moved
            on
                keys.project_id = moved.project_id
                and keys.attribution_key = moved.attribution_key
        left join taken
            on keys.project_id = taken.project_id
        where
            moved.project_id is not null
            or keys.staged_at > taken.staged_at
            or keys.{{ newest }} = taken.{{ newest }}
    )

    select
        to_write.*,
        case when to_write.is_moved then before.all_labels else before.earlier_labels end
            as earlier_labels,
        case when not to_write.is_moved then before.labelled_at end as labelled_at
    from to_write
    -- An aggregate without a group: Postgres looks up key by key.
    left join lateral (
        select
            jsonb_agg(distinct had.labels)::text as all_labels,
            max(labelled.earlier_labels) as earlier_labels,
            max(labelled.labelled_at) as labelled_at
        from {{ this }} as labelled
        cross join lateral (
            select jsonb_build_object(
                'traffic_source', labelled.traffic_source,
                'traffic_type', labelled.traffic_type,
                'campaign', labelled.campaign
            ) as labels
            union all
            select jsonb_array_elements(labelled.earlier_labels::jsonb)
        ) as had
        where
            labelled.project_id = to_write.project_id
            and labelled.attribution_key = to_write.attribution_key
    ) as before on true
    {%- else -%}
    select
        *,
        null::text as earlier_labels,
        null::timestamptz as labelled_at
    from {{ keys }}
    {%- endif -%}
{% endmacro %}
