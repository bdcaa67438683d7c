"""SQL as PostgreSQL speaks it: a batch is one statement, whose array of keys is one parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from forecache.coherence.postgresql.past import TOKEN, token_of
from forecache.coherence.token import Token
from forecache.errors import TableError
from forecache.extras import extra
from forecache.serve.origin import Key, Row, Table
from forecache.serve.origins.plan import Plan, Statement
from forecache.serve.origins.rows import row_maker
from forecache.serve.origins.sql import Details, Schema, Sql, dependents_of, has_zero

with extra("postgresql"):
    from psycopg.types.json import Jsonb

__all__ = ["Postgresql"]

JSON: Final = ("json", "jsonb")
WHOLE: Final = {"int2", "int4", "int8"}  # of one operator family: an index on one serves a search for another

FIND: Final = """
SELECT c.oid, n.nspname, c.relname, pg_table_is_visible(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND (c.relname = %s AND pg_table_is_visible(c.oid) OR n.nspname || '.' || c.relname = %s)
ORDER BY 4 DESC LIMIT 1
"""
COLUMNS: Final = """
SELECT a.attname, a.attgenerated <> '' OR a.attidentity = 'a', array_position(i.keys, a.attnum),
    quote_ident(s.nspname) || '.' || quote_ident(y.typname), y.typname
FROM pg_attribute AS a
JOIN pg_type AS y ON y.oid = a.atttypid JOIN pg_namespace AS s ON s.oid = y.typnamespace
LEFT JOIN (
    SELECT indrelid, (string_to_array(indkey::text, ' ')::smallint[])[1:indnkeyatts] AS keys
    FROM pg_index WHERE indisprimary
) AS i ON i.indrelid = a.attrelid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
REFERENCES: Final = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END,
    CASE WHEN pg_table_is_visible(p.oid) THEN p.relname ELSE m.nspname || '.' || p.relname END
FROM pg_constraint AS f
JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS p ON p.oid = f.confrelid JOIN pg_namespace AS m ON m.oid = p.relnamespace
WHERE f.contype = 'f' AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))
"""


class Postgresql(Sql):
    """SQL as PostgreSQL speaks it."""

    mark = "%s"
    stamp = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"  # all transactions below it have ended
    counts = False
    lock = " FOR UPDATE OF t"
    commit = Statement("SELECT pg_current_xact_id_if_assigned()::text::bigint; COMMIT", None)

    def quote(self, name: str) -> str:
        """A name; percent signs would be placeholders."""
        return super().quote(name).replace("%", "%%")

    def schema(self, name: str) -> Plan[Schema]:
        """Reads the catalogue; a table that the search path does not show is called `schema.table`."""
        found = yield Statement(FIND, (name, name))
        if not found.rows:
            raise TableError(f"there is no table {name!r}; check its name, its schema, and which database this is")
        number, schema, table, is_visible = found.rows[0]
        columns = (yield Statement(COLUMNS, (number,))).rows
        references = yield Statement(REFERENCES)
        address = f"{self.quote(schema)}.{self.quote(table)}"
        empty = yield Statement(f"SELECT * FROM {address} LIMIT 0")  # noqa: S608 - names are quoted
        true_name = table if is_visible else f"{schema}.{table}"
        key = sorted((column for column in columns if column[2]), key=lambda column: column[2])
        details = Details(
            address=address,
            types=empty.types,
            generated=frozenset(column[0] for column in columns if column[1]),
            dependents=dependents_of(true_name, ((child, parent) for child, parent in references.rows)),
            key_types=tuple("int8" if column[4] in WHOLE else column[3] for column in key),
            json=frozenset(column[0] for column in columns if column[4] in JSON),
        )
        return Schema(true_name, tuple(column[0] for column in key), empty.columns, details)

    def token(self) -> Plan[Token]:
        """Of all that has committed; its past is "" at a standby."""
        return token_of((yield Statement(TOKEN, None)).rows[0])

    def with_writer(self, table: Table, key: Key) -> Plan[tuple[Row, int] | None]:
        """A row and the number of the transaction that wrote it, out of one snapshot.

        None if it is absent, or has another shape now.
        """
        where, after = self.where(table, key), 1 + len(table.key)
        query = f"SELECT t.xmin::text, {self.selected(table)} FROM {table.details.address} AS t WHERE {where.sql}"  # noqa: S608 - names are quoted
        answer = yield Statement(query, where.parameters)
        if not answer.rows or answer.columns[after:] != table.columns:
            return None
        values = answer.rows[0]
        return row_maker(table)(values[after:]), int(values[0])

    def chunks(self, table: Table, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        """All at once: an array is one parameter."""
        possible = [key for key in keys if not any(has_zero(part) for part in table.parts_of(key))]
        if possible:
            yield possible

    def matching(self, table: Table, count: int) -> str:
        """Rows whose key is in an array, or which join with several; for any number of keys."""
        kinds, address = table.details.key_types, f"{table.details.address} AS t"
        if len(table.key) == 1:
            return f"{address} ON t.{self.quote(table.key[0])} = ANY(%s::{kinds[0]}[])"
        names = [f"k{number}" for number in range(len(kinds))]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        same = " AND ".join(f"t.{self.quote(column)} = k.{name}" for column, name in zip(table.key, names, strict=True))
        asked = f"unnest({arrays}) AS k ({', '.join(names)})"
        return f"({asked} JOIN {address} ON {same}) ON TRUE"

    def arguments(self, table: Table, keys: Sequence[Key]) -> Sequence[Any]:
        """An array for each column of the key."""
        return [list(parts) for parts in zip(*(table.parts_of(key) for key in keys), strict=True)]

    def ending(self) -> Plan[int | None]:
        """Commits, and asks for the number on the same way."""
        answer = yield self.commit
        number: int | None = answer.rows[0][0]
        return number

    def value(self, table: Table, column: str, value: Any) -> Any:
        """A value; documents must be told from arrays."""
        return Jsonb(value) if column in table.details.json and value is not None else value
