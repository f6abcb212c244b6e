"""Calls and forms that were deleted on a client's request: they must not be landed again.

Ringostat still answers them, so their ids are stored as salted hashes: an id may be an unsalted
hash of a phone number and a time, which reveals the number to anybody who tries all numbers. The
salt is random, is made at the project's first deletion, and never changes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Literal

import psycopg
from psycopg import sql

Kind = Literal["call", "form"]

_HASH = sql.SQL("encode(sha256(convert_to({salt} || {kind} || ':' || {id}, 'utf8')), 'hex')")


def remember(conn: psycopg.Connection, project_id: int, kind: Kind, ids: Sequence[str]) -> None:
    """Keeps `ids` from being landed again. The project's load lock must be held."""
    query = sql.SQL(
        """
        insert into ringostat_raw.deleted_contacts (project_id, contact_hash, salt, deleted_at)
        select %(project_id)s, {hash}, salts.salt, now()
        from unnest(%(ids)s::text[]) as deleted (id)
        cross join (
            select coalesce(max(salt), %(new_salt)s) as salt
            from ringostat_raw.deleted_contacts
            where project_id = %(project_id)s
        ) as salts
        on conflict do nothing
        """
    )
    conn.execute(
        query.format(hash=_hash("salts.salt", kind, "deleted.id")),
        {"project_id": project_id, "ids": list(ids), "new_salt": secrets.token_hex(32)},
    )


def deleted_ids(
    conn: psycopg.Connection, project_id: int, kind: Kind, ids: sql.Composable
) -> list[str]:
    """The deleted ones among `ids`, a query of one column."""
    query = sql.SQL(
        """
        select landed.id
        from (
            select max(salt) as salt
            from ringostat_raw.deleted_contacts
            where project_id = {project_id}
        ) as salts
        cross join ({ids}) as landed (id)
        inner join ringostat_raw.deleted_contacts as deleted
            on deleted.project_id = {project_id} and deleted.contact_hash = {hash}
        """
    )
    found = conn.execute(
        query.format(
            project_id=sql.Literal(project_id),
            ids=ids,
            hash=_hash("salts.salt", kind, "landed.id"),
        )
    )
    return [found_id for (found_id,) in found]


def _hash(salt: str, kind: Kind, id_: str) -> sql.Composed:
    return _HASH.format(salt=sql.SQL(salt), kind=sql.Literal(kind), id=sql.SQL(id_))
