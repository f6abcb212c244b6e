{#
    Runs statements on views again and again until it gets their locks, for a short moment at a time:
    new readers of a view wait no longer than that, however long the query runs that holds the view.
    `fault` begins the message if they do not succeed within 5 minutes.
#}
{% macro give_way_to_readers(fault) %}
    do $give_way_to_readers$
    declare
        gives_up_at constant timestamptz := clock_timestamp() + interval '5 minutes';
    begin
        loop
            begin
                set local lock_timeout = '200ms';
                {{ caller() }}
                return;
            exception when lock_not_available then
                if clock_timestamp() > gives_up_at then
                    raise exception using
                        errcode = 'lock_not_available',
                        message = {{ dbt.string_literal(
                            fault ~ ': queries have been reading it for 5 minutes without a pause'
                        ) }},
                        hint = 'End that query (see pg_stat_activity), or build again later.';
                end if;
            end;
            perform pg_sleep(0.5);
        end loop;
    end
    $give_way_to_readers$;
{% endmacro %}
