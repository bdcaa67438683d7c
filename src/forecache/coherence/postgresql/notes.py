"""Notes: a table in which triggers note the keys that are written, in the transaction that writes them.

For databases whose log cannot be read. Each note has the number of its transaction, which tells a snapshot that has it
from one that has not; the order in which notes are numbered is not that of commits, and nothing depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from forecache.coherence.postgresql.coverage import Member, Tables, quoted

__all__ = ["FOLLOWERS", "NOTES", "TRIMS", "address", "missing", "removal"]

Ask = Callable[..., list[tuple[Any, ...]]]

NOTES: Final = "public._forecache_changes"
FOLLOWERS: Final = "public._forecache_followers"
TRIMS: Final = "public._forecache_trims"
KEPT: Final = 1_000_000  # notes, if nobody follows; some 100 MB
TRIM_EVERY: Final = 1_024  # notes, so that most writes need not delete
TRIM_MOST: Final = 4_096  # at once
PREFIX: Final = "_forecache_note_"
SCHEMA: Final = (
    f"CREATE TABLE IF NOT EXISTS {NOTES} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "xid xid8 NOT NULL DEFAULT pg_current_xact_id(), tbl text NOT NULL, key text[]) "
    "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)",
    f"CREATE INDEX IF NOT EXISTS _forecache_changes_xid ON {NOTES} (xid)",
    f"CREATE TABLE IF NOT EXISTS {FOLLOWERS} (name text PRIMARY KEY, done xid8 NOT NULL, taken bigint NOT NULL)",
    f"CREATE TABLE IF NOT EXISTS {TRIMS} (xid xid8 NOT NULL)",
)
OUTPUT: Final = (  # so that texts are the same whoever writes
    "SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' "
    "SET bytea_output = 'hex' SET extra_float_digits = '1' SET timezone = 'UTC'"
)
BODY: Final = """
DECLARE noted bigint;
BEGIN
    IF tg_op = 'TRUNCATE' THEN
        INSERT INTO {notes} (tbl) VALUES ({table}) RETURNING id INTO noted;
    ELSIF tg_op = 'DELETE' THEN
        INSERT INTO {notes} (tbl, key) VALUES ({table}, {old}) RETURNING id INTO noted;
    ELSE
        INSERT INTO {notes} (tbl, key) VALUES ({table}, {new}) RETURNING id INTO noted;
        IF tg_op = 'UPDATE' THEN
            INSERT INTO {notes} (tbl, key) SELECT {table}, {old} WHERE {old} IS DISTINCT FROM {new};
        END IF;
    END IF;
    IF noted % {every} = 0 THEN
        WITH excess AS (
            SELECT n.id FROM {notes} AS n WHERE n.id <= noted - {kept} ORDER BY n.id LIMIT {most}
            FOR UPDATE SKIP LOCKED
        ), gone AS (DELETE FROM {notes} AS n USING excess WHERE n.id = excess.id RETURNING n.xid)
        INSERT INTO {trims} (xid) SELECT xid FROM gone ORDER BY xid DESC LIMIT 1;
    END IF;
    RETURN NULL;
END
"""
THERE: Final = """
SELECT c.oid::bigint, t.tgname::text, t.tgenabled::text, p.proname::text FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE c.oid = ANY (%s::bigint[]::oid[]) AND t.tgname LIKE '\\_forecache\\_note\\_%%'
"""
BODIES: Final = """
SELECT proname::text, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
AND proname LIKE '\\_forecache\\_note\\_%'
"""
HAS_TABLES: Final = f"SELECT count(to_regclass(t)) = 3 FROM unnest(ARRAY['{NOTES}', '{FOLLOWERS}', '{TRIMS}']) AS t"  # noqa: S608


def literal(value: str) -> str:
    """A text as SQL has it, whatever the settings."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"


def function_of(table: Member) -> str:
    """What the function that notes the keys of a table is called."""
    return PREFIX + hashlib.sha256(f"{table.schema}.{table.name}".encode()).hexdigest()[:16]


def body_of(name: str, key: tuple[str, ...]) -> str:
    """The text of that function; a row of the table is known by a name and the texts of its key."""
    old, new = (
        "ARRAY[" + ", ".join(f"format('%s', {row}.{quoted(column)})" for column in key) + "]" for row in ("old", "new")
    )
    return BODY.format(
        notes=NOTES, trims=TRIMS, table=literal(name), old=old, new=new, every=TRIM_EVERY, kept=KEPT, most=TRIM_MOST
    )


def triggers(members: tuple[Member, ...]) -> Iterator[tuple[Member, str, str]]:
    """The triggers of a table: on what, called what, when; those for its rows are of its partitions as well."""
    table = members[0]
    for member in members:
        if member is table or table.kind == "r":
            yield member, function_of(table), "AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW"
        yield member, f"{function_of(table)}_t", "AFTER TRUNCATE ON {} FOR EACH STATEMENT"


def wanted(tables: Tables, keys: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Names and texts of the functions."""
    for name, members in tables.members.items():
        yield function_of(members[0]), body_of(address(members[0]), keys[name])


def address(table: Member) -> str:
    """What a table is called in notes, however it is called by those who follow."""
    return f"{table.schema}.{table.name}"


def missing(ask: Ask, tables: Tables, keys: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Statements that make what is not there as it should be."""
    statements = [] if ask(HAS_TABLES)[0][0] else list(SCHEMA)
    bodies: dict[str, str] = dict(ask(BODIES))
    for function, body in wanted(tables, keys):
        if bodies.get(function) != body:
            text = literal(body)
            statements.append(
                f"CREATE OR REPLACE FUNCTION public.{function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
                f"{OUTPUT} AS {text}"
            )
    there = {(oid, name): (enabled, function) for oid, name, enabled, function in ask(THERE, [list(tables.names)])}
    for members in tables.members.values():
        function = function_of(members[0])
        for member, trigger, when in triggers(members):
            if there.get((member.oid, trigger)) != ("A", function):
                statements += [
                    f"DROP TRIGGER IF EXISTS {trigger} ON {member.address}",
                    f"CREATE TRIGGER {trigger} {when.format(member.address)} EXECUTE FUNCTION public.{function}()",
                    f"ALTER TABLE {member.address} ENABLE ALWAYS TRIGGER {trigger}",
                ]
        statements += [  # that for rows of partitions came with that of the table
            f"ALTER TABLE {member.address} ENABLE ALWAYS TRIGGER {function}"
            for member in members
            if member.kind == "r" and there.get((member.oid, function)) != ("A", function)
        ]
    return statements


def removal(tables: Tables) -> list[str]:
    """Statements that remove the triggers of some tables."""
    return [
        f"DROP FUNCTION IF EXISTS public.{function_of(members[0])}() CASCADE" for members in tables.members.values()
    ]
