{#
    CTE `name`: the keys to write, among those computed in this run: new keys and, in an edited
    project (its watermark is -infinity), keys that moved: their channels or stretches of days have
    changed. The project's newest key is always written: the next run reads from it what the project
    is `made_with`.

    Two columns are added. `earlier_labels` of a moved key is a JSON array of all labels that it has
    had: whoever counts by label must count again what it has left. `labelled_at` is null for a key
    that gets its labels in this run.

    keys       the CTE that `new_rows` has made
    stretches  a CTE: the present stretches of the keys
    newest     the column that orders keys of one moment, as in `watermarks`
#}
{% macro new_and_moved(name, keys, stretches, newest) %}
    {%- set columns = [
        'project_id', 'attribution_key', 'starts_on', 'ends_before', 'channel_id',
        'traffic_source', 'traffic_type', 'campaign',
    ] | join(', ') -%}
    {%- if is_incremental() -%}
taken as{{ spread() }} (
    {{ watermarks('projects', newest=newest) }}
),

edited as{{ spread() }} (
    select project_id from watermarks where staged_at = '-infinity'
),

-- A stretch that has not changed is there twice.
moved_stretches as{{ kept() }} (
    select project_id, attribution_key
    from (
        select {{ columns }}
        from {{ stretches }}
        where project_id in (select project_id from edited)
        union all
        select {{ columns }}
        from {{ this }}
        where channel_id is not null and project_id in (select project_id from edited)
    ) as now_and_before
    group by {{ columns }}
    having count(*) = 1
),

moved as{{ kept() }} (
    select distinct project_id, attribution_key from moved_stretches
),

-- Left joins: of an inner one Postgres expects one row, and then compares each key with each.
-- Materialized: the labels that a key has had are looked up once, key by key.
had as materialized (
    select
        keys.*,
        moved.project_id is not null as is_moved,
        (
            select
                jsonb_build_object(
                    'all_labels', jsonb_agg(distinct each_of.labels)::text,
                    'earlier_labels', max(labelled.earlier_labels),
                    'labelled_at', max(labelled.labelled_at)
                )
            from (
                select
                    earlier_labels,
                    labelled_at,
                    jsonb_build_array(jsonb_build_object(
                        'traffic_source', traffic_source,
                        'traffic_type', traffic_type,
                        'campaign', campaign
                    )) || coalesce(earlier_labels::jsonb, '[]') as all_labels
                from {{ this }} as known
                where
                    known.project_id = keys.project_id
                    and known.attribution_key = keys.attribution_key
            ) as labelled
            cross join lateral jsonb_array_elements(labelled.all_labels) as each_of (labels)
        ) as labels
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
),

{{ name }} as{{ kept() or ' not materialized' }} (
    select
        had.*,
        case
            when had.is_moved then had.labels ->> 'all_labels'
            else had.labels ->> 'earlier_labels'
        end as earlier_labels,
        case when not had.is_moved then (had.labels ->> 'labelled_at')::timestamptz end
            as labelled_at
    from had
)
    {%- else -%}
{{ name }} as{{ kept() }} (
    select
        *,
        null::text as earlier_labels,
        null::timestamptz as labelled_at
    from {{ keys }}
)
    {%- endif -%}
{% endmacro %}
