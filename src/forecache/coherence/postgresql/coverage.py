"""Coverage: which tables of PostgreSQL tell all that is written to them, as the catalogue has it; others are refused.

A table is followed with all that it consists of: its partitions, and the tables that inherit from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from forecache.errors import ConfigurationError, TableError

__all__ = ["CANNOT", "PUBLICATION", "Member", "Tables", "ask_tables", "complaints", "lacking", "publishing", "quoted"]

Ask = Callable[..., list[tuple[Any, ...]]]  # a statement and its parameters; the rows

MEMBERS: Final = """
WITH RECURSIVE wanted AS (
    SELECT w.name, (
        SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
          AND (c.relname = w.name AND pg_table_is_visible(c.oid) OR n.nspname || '.' || c.relname = w.name)
        ORDER BY pg_table_is_visible(c.oid) DESC LIMIT 1
    ) AS oid FROM unnest(%s::text[]) AS w (name)
), member (name, root, oid) AS (
    SELECT name, oid, oid FROM wanted
    UNION SELECT m.name, m.root, i.inhrelid FROM member AS m JOIN pg_inherits AS i ON i.inhparent = m.oid
)
SELECT m.name, m.oid::bigint, m.oid = m.root, n.nspname, c.relname, c.relkind::text, c.relpersistence::text,
    c.relreplident::text,
    ARRAY(
        SELECT a.attname::text FROM pg_index AS x
        CROSS JOIN unnest((string_to_array(x.indkey::text, ' ')::smallint[])[1:x.indnkeyatts])
            WITH ORDINALITY AS k (number, at)
        JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
        WHERE x.indrelid = c.oid AND x.indisprimary ORDER BY k.at
    ),
    ARRAY(
        SELECT a.attname::text FROM pg_index AS x
        JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
        WHERE x.indrelid = c.oid
          AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END
    )
FROM member AS m LEFT JOIN pg_class AS c ON c.oid = m.oid LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY m.name, m.oid <> m.root, m.oid
"""
PUBLISHED: Final = "SELECT to_jsonb(t) FROM pg_publication_tables AS t WHERE t.pubname = %s"
WHOLE: Final = """
SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM pg_publication WHERE pubname = %s
"""
PUBLICATION: Final = "forecache"  # unless another is chosen
LISTED: Final = """
SELECT p.puballtables OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = %s)
FROM pg_publication AS p WHERE p.pubname = %s
"""  # a table with partitions, of which those to come must be published as well
LOCK_MILLISECONDS: Final = 3_000  # waited for writers of a table; meanwhile others wait too
KINDS: Final = {"f": "a foreign table", "v": "a view", "m": "a materialized view"}
CANNOT: Final = "so its rows cannot be kept current"


@dataclass(frozen=True, slots=True)
class Member:
    """A table that rows are in: a followed one, or a part of it."""

    oid: int
    schema: str
    name: str
    kind: str  # as pg_class has it: 'r' holds rows, 'p' has partitions
    persistence: str  # 'p' is written to the log
    identity: str  # what the log has of old rows: 'd' the primary key, 'i' an index, 'f' all, 'n' nothing
    key: tuple[str, ...]  # columns of the primary key
    identity_columns: frozenset[str]

    @property
    def address(self) -> str:
        """Its name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables that are followed consist of."""

    members: Mapping[str, tuple[Member, ...]]  # by name; the table itself comes first
    names: Mapping[int, tuple[str, ...]] = field(init=False)  # of the tables that a member belongs to

    def __post_init__(self) -> None:
        """Turns the members around."""
        names: dict[int, tuple[str, ...]] = {}
        for name, members in self.members.items():
            for member in members:
                names[member.oid] = (*names.get(member.oid, ()), name)
        object.__setattr__(self, "names", names)


def ask_tables(ask: Ask, names: Iterable[str]) -> Tables:
    """Reads the catalogue.

    Raises:
        TableError: a table is not there.
    """
    names = list(names)
    found: dict[str, list[Member]] = {name: [] for name in names}
    for name, oid, _, schema, table, kind, persistence, identity, key, columns in ask(MEMBERS, [names]):
        if oid is None:
            raise TableError(f"there is no table {name!r}; check its name, its schema, and which database this is")
        member = Member(oid, schema, table, kind, persistence, identity, tuple(key), frozenset(columns))
        found[name].append(member)
    return Tables({name: tuple(members) for name, members in found.items()})


def complaints(name: str, members: Iterable[Member], key: tuple[str, ...] | None = None) -> list[str]:
    """Why the changes of a table cannot be told, if they cannot.

    Args:
        name: of the table.
        members: what it consists of.
        key: the columns that its rows are known by; by default those of its primary key.
    """
    members = list(members)
    table, wanted = members[0], key or members[0].key
    if table.kind in KINDS:
        return [f"{name} is {KINDS[table.kind]}, which is not in the log, {CANNOT}"]
    if not table.key:
        return [f"{name} has no primary key, by which its rows would be known; add one"]
    if table.key != wanted:
        return [f"the primary key of {name} is {', '.join(table.key)}, not {', '.join(wanted)}; read its schema again"]
    return [complaint for member in members if (complaint := complaint_about(member, wanted))]


def complaint_about(member: Member, key: tuple[str, ...]) -> str | None:
    """Why the changes of a member cannot be told."""
    if member.kind in KINDS:
        return f"{member.name} is {KINDS[member.kind]}, which is not in the log, {CANNOT}"
    if member.persistence != "p":
        kind = "unlogged" if member.persistence == "u" else "temporary"
        return f"{member.name} is {kind}, {CANNOT}: ALTER TABLE {member.address} SET LOGGED"
    if member.kind == "r" and member.identity != "f" and not set(key) <= member.identity_columns:
        lacking = ", ".join(column for column in key if column not in member.identity_columns)
        way = "DEFAULT" if set(member.key) == set(key) else "FULL"
        return (
            f"the replica identity of {member.name} lacks {lacking}, {CANNOT}: "
            f"ALTER TABLE {member.address} REPLICA IDENTITY {way}"
        )
    return None


def lacking(ask: Ask, publication: str, tables: Tables) -> list[Member]:
    """What a publication lacks.

    Returns:
        What must be added; nothing if it has all.

    Raises:
        ConfigurationError: it is there, but leaves something out that cannot be added.
    """
    there = ask(WHOLE, [publication])
    if not there:
        return [members[0] for members in tables.members.values()]
    whole, via_root = there[0]
    if not whole or via_root:
        why = "does not publish every kind of change" if not whole else "publishes partitions as their root"
        raise ConfigurationError(
            f"publication {publication!r} {why}; ALTER PUBLICATION {quoted(publication)} SET "
            "(publish = 'insert, update, delete, truncate', publish_via_partition_root = false)"
        )
    rows = {(row["schemaname"], row["tablename"]): row for (row,) in ask(PUBLISHED, [publication])}
    found = []
    for members in tables.members.values():
        leaves = [member for member in members if member.kind == "r"]
        if members[0].kind == "r":
            found += [member for member in leaves if (member.schema, member.name) not in rows]
        elif not ask(LISTED, [members[0].oid, publication])[0][0]:
            found.append(members[0])
        for member in leaves:
            row = rows.get((member.schema, member.name), {})
            if row.get("rowfilter") is not None or not set(members[0].key) <= set(
                row.get("attnames") or members[0].key
            ):
                raise ConfigurationError(
                    f"publication {publication!r} leaves out rows or key columns of {member.name}; "
                    f"ALTER PUBLICATION {quoted(publication)} SET TABLE without WHERE and without columns"
                )
    return found


def publishing(ask: Ask, publication: str, members: Iterable[Member]) -> tuple[str, ...]:
    """Statements that make the publication, or add tables to it.

    They wait for those who are writing to a table: what they wrote before it was added would not be told.
    """
    addresses = ", ".join(member.address for member in members)
    is_there = bool(ask(WHOLE, [publication]))
    if not addresses:
        return () if is_there else (f"CREATE PUBLICATION {quoted(publication)}",)
    alter = f"ALTER PUBLICATION {quoted(publication)} ADD TABLE {addresses}"
    create = f"CREATE PUBLICATION {quoted(publication)} FOR TABLE {addresses}"
    return (
        "BEGIN",
        f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}",
        f"LOCK TABLE {addresses} IN SHARE ROW EXCLUSIVE MODE",
        alter if is_there else create,
        "COMMIT",
    )


def quoted(name: str) -> str:
    """A name that means itself, whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'
