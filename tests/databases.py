"""New databases for tests, on Postgres alone or on a coordinator of Citus and its workers."""

from __future__ import annotations

from functools import cache

import psycopg
from psycopg import sql

from loader import database


def is_citus(server: dict[str, str]) -> bool:
    """Whether the database that `server` names is a coordinator of Citus."""
    return _has_citus(*server.items())


@cache
def _has_citus(*server: tuple[str, str]) -> bool:
    with database.connect(dict(server)) as conn:
        return conn.execute("select from pg_extension where extname = 'citus'").rowcount == 1


def create(server: dict[str, str], name: str, template: str = "template1") -> None:
    """Creates the database `name`, a copy of `template`.

    On Citus it is an empty one, with the workers that `server` knows.
    """
    if not is_citus(server):
        with database.connect(server) as conn:
            # Takes half as long as the default where checkpoints wait for no disk.
            (fsync,) = conn.execute("show fsync").fetchone()
            copied = sql.SQL("strategy file_copy" if fsync == "off" else "")
            conn.execute(
                sql.SQL("create database {} template {} {}").format(
                    sql.Identifier(name), sql.Identifier(template), copied
                )
            )
        return
    nodes = _nodes(server)
    for node in nodes:
        with database.connect(node) as conn:
            _on_this_node_alone(conn)
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with database.connect({**node, "PGDATABASE": name}) as conn:
            conn.execute("create extension citus")
    with database.connect(server) as conn:
        # With the 32 shards of the default, most of a small test's time is their making.
        few = sql.SQL("alter database {} set citus.shard_count = 4").format(sql.Identifier(name))
        conn.execute(few)
    coordinator, *workers = nodes
    with database.connect({**server, "PGDATABASE": name}) as conn:
        place = [coordinator["PGHOST"], int(coordinator["PGPORT"])]
        conn.execute("select citus_set_coordinator_host(%s, %s)", place)
        for worker in workers:
            place = [worker["PGHOST"], int(worker["PGPORT"])]
            conn.execute("select citus_add_node(%s, %s)", place)


def drop(server: dict[str, str], name: str) -> None:
    """Drops the database `name` wherever `create` has created it."""
    for node in _nodes(server) if is_citus(server) else [server]:
        with database.connect(node) as conn:
            _on_this_node_alone(conn)
            conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _on_this_node_alone(conn: psycopg.Connection) -> None:
    conn.execute("set citus.enable_create_database_propagation = off")


def _nodes(server: dict[str, str]) -> list[dict[str, str]]:
    """The coordinator, then the workers, as the coordinator reaches them."""
    with database.connect(server) as conn:
        nodes = conn.execute(
            "select nodename, nodeport from pg_dist_node where noderole = 'primary'"
            " order by groupid <> 0, groupid"
        ).fetchall()
    return [{**server, "PGHOST": host, "PGPORT": str(port)} for host, port in nodes]
