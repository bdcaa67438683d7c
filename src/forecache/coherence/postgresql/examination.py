"""`examine`: whether a database of PostgreSQL is set up to be followed, what to do about it, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from forecache.coherence.postgresql.asking import Asking, slot_of, translated
from forecache.coherence.postgresql.coverage import Member, Tables, ask_tables, complaints, lacking, publishing, quoted
from forecache.coherence.postgresql.finding import Finding, lasting, look
from forecache.coherence.postgresql.notes import missing
from forecache.coherence.postgresql.patient import Patient
from forecache.coherence.postgresql.schema_trigger import CREATE_SCHEMA_TRIGGER, HAS_SCHEMA_TRIGGER
from forecache.coherence.postgresql.synchronous import NO_STANDBY, all_of, calls, requires
from forecache.errors import ConfigurationError, TableError
from forecache.libpq import name_of, parameters_of
from forecache.units import format_size

__all__ = ["examine"]

OLDEST: Final = 140_000  # server version
FLUSHES: Final = 170_000  # server version that flushes messages at once
SLOWEST_WRITER: Final = 20  # milliseconds of wal_writer_delay
KEPT: Final = "8GB"  # of the log, for a slot that nobody reads
SHORTEST_IDLE: Final = 60_000  # milliseconds
FACTS: Final = """
SELECT to_jsonb(f) FROM (
    SELECT current_setting('wal_level') AS wal_level, current_setting('max_replication_slots')::int AS slots,
        current_setting('max_wal_senders')::int AS senders, current_setting('max_slot_wal_keep_size') AS keep,
        (SELECT setting::int FROM pg_settings WHERE name = 'wal_writer_delay') AS writer_delay,
        (SELECT setting::int FROM pg_settings WHERE name = 'idle_session_timeout') AS idle,
        (SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS forgotten,
        (SELECT count(*) FROM pg_replication_slots) AS slots_used,
        (SELECT count(*) FROM pg_stat_replication) AS senders_used, pg_is_in_recovery() AS is_standby,
        (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS may_replicate,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser, current_user AS role,
        current_setting('synchronous_standby_names') AS standbys,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('restart_after_crash') AS restarts
) AS f
"""
SLOT: Final = """
SELECT plugin, database, wal_status, active, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
FROM pg_replication_slots WHERE slot_name = %s
"""
LOWERED: Final = """
SELECT coalesce(r.rolname, 'all roles') FROM pg_db_role_setting AS s LEFT JOIN pg_roles AS r ON r.oid = s.setrole
WHERE EXISTS (SELECT FROM unnest(s.setconfig) AS c WHERE c IN ('synchronous_commit=off', 'synchronous_commit=local'))
"""
WAITED_FOR: Final = "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s"
NOTED: Final = """
SELECT DISTINCT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.tgname LIKE '\\_forecache\\_note\\_%' AND NOT c.relispartition
"""
PUBLISHED: Final = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
JOIN pg_class AS c ON c.oid = r.prrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE p.pubname = %s
"""


def examine(patient: Patient) -> list[Finding]:
    """Looks at everything, and changes nothing.

    Raises:
        OriginUnavailableError: the database cannot be reached.
    """
    asking = patient.connect()
    try:
        with translated(name_of(parameters_of(patient.url))):
            facts = asking.ask(FACTS)[0][0]
            found = [*server(asking.info.server_version, facts)]
            if facts["is_standby"]:
                return found
            good = tables(asking, patient, found)
            if not patient.with_slot:
                return [*found, noted(asking, good)]
            found += log(asking.info.server_version, facts)
            found += [publication(asking, patient, good), *slot(asking, patient, facts)]
            found += schema(asking, is_superuser=facts["is_superuser"])
            return [*found, *synchronous(asking, patient, facts)]
    finally:
        asking.close()


def server(version: int, facts: dict[str, Any]) -> Iterator[Finding]:
    """What is of the server and the role."""
    yield look("version", version >= OLDEST, f"{version // 10_000}.{version % 10_000}", "use PostgreSQL 14 or newer")
    where = "standby" if facts["is_standby"] else "primary"
    yield look(
        "server",
        not facts["is_standby"],
        where,
        "give the URL of the primary; target_session_attrs=read-write finds it",
    )
    idle = facts["idle"]
    fits = idle == 0 or idle >= SHORTEST_IDLE
    advice = "set it to 0 or a minute for this role: it ends our connection"
    yield look("idle_session_timeout", fits, f"{idle} ms" if idle else "none", advice, otherwise="warning")
    forgotten = facts["forgotten"]
    advice = "set it: a forgotten transaction that wrote holds up sessions' proofs"
    found = f"{forgotten} ms" if forgotten else "none"
    yield look("idle_in_transaction_session_timeout", forgotten > 0, found, advice, otherwise="warning")


def log(version: int, facts: dict[str, Any]) -> Iterator[Finding]:
    """What it takes to read the log."""
    level = facts["wal_level"]
    cure: tuple[str, ...] = ("ALTER SYSTEM SET wal_level = 'logical'",)
    yield look(
        "wal_level",
        level == "logical",
        level,
        "set it to logical and restart the server, or follow without a slot",
        cure=cure,
    )
    yield look("role", facts["may_replicate"], facts["role"], f"ALTER ROLE {quoted(facts['role'])} REPLICATION")
    delay = facts["writer_delay"]
    quick = version >= FLUSHES or delay <= SLOWEST_WRITER
    cure = lasting("wal_writer_delay", "10ms")
    advice = "set it to 10ms: a beacon waits for it"
    yield look("wal_writer_delay", quick, f"{delay} ms", advice, cure=cure, otherwise="warning")
    keep = facts["keep"]
    cure = lasting("max_slot_wal_keep_size", KEPT)
    advice = f"set it, as to {KEPT}: a slot that nobody reads would fill the disk"
    yield look("max_slot_wal_keep_size", keep != "-1", "unbounded" if keep == "-1" else keep, advice, cure=cure)


def tables(asking: Asking, patient: Patient, findings: list[Finding]) -> Tables:
    """Looks at each table; returns those that can be followed."""
    known = asking.ask(PUBLISHED, [patient.publication]) if patient.with_slot else asking.ask(NOTED)
    names = patient.tables or tuple(row[0] for row in known)
    good: list[str] = []
    found: dict[str, tuple[Member, ...]] = {}
    for name in names:
        try:
            found |= ask_tables(asking.ask, [name]).members
        except TableError as error:
            findings.append(Finding(f"table {name}", "error", "not there", str(error)))
            continue
        wrong = complaints(name, found[name])
        good += [] if wrong else [name]
        parts = f", {len(found[name]) - 1} parts" if len(found[name]) > 1 else ""
        key = f"key {', '.join(found[name][0].key)}{parts}"
        findings.append(look(f"table {name}", not wrong, "cannot be followed" if wrong else key, "; ".join(wrong)))
    return Tables({name: found[name] for name in good})


def noted(asking: Asking, good: Tables) -> Finding:
    """Whether triggers note what is written to tables."""
    cure = missing(asking.ask, good, {name: members[0].key for name, members in good.members.items()})
    names = ", ".join(good.members) or "no table"
    advice = "run it with --fix as the owner of the tables: triggers, and the table that they write"
    return look("triggers", not cure, f"of {names}" if not cure else "not as they must be", advice, cure=cure)


def publication(asking: Asking, patient: Patient, good: Tables) -> Finding:
    """Whether it has the tables that can be followed."""
    what = f"publication {patient.publication}"
    try:
        absent = lacking(asking.ask, patient.publication, good)
    except ConfigurationError as error:
        return Finding(what, "error", "not whole", str(error))
    is_there = bool(asking.ask("SELECT 1 FROM pg_publication WHERE pubname = %s", [patient.publication]))
    if is_there and not absent:
        return Finding(what, "ok", f"has {', '.join(good.members) or 'no table'}")
    cure = publishing(asking.ask, patient.publication, absent)
    found = f"lacks {', '.join(member.name for member in absent)}" if is_there else "not there"
    return Finding(what, "error", found, f"run {'; '.join(cure)}", cure)


def slot(asking: Asking, patient: Patient, facts: dict[str, Any]) -> Iterator[Finding]:
    """The slot, or room for it."""
    name = patient.slot or slot_of(asking.info.dbname)
    there = asking.ask(SLOT, [name])
    used = facts["slots_used"]
    room = f"{used} of {facts['slots']} used"
    yield look("max_replication_slots", bool(there) or used < facts["slots"], room, "raise it, and restart the server")
    is_active = bool(there and there[0][3])
    room = f"{facts['senders_used']} of {facts['senders']} used"
    has_room = is_active or facts["senders_used"] < facts["senders"]
    yield look("max_wal_senders", has_room, room, "raise it, and restart the server")
    yield slot_state(name, asking.info.dbname, there)


def slot_state(name: str, database: str, there: Sequence[tuple[Any, ...]]) -> Finding:
    """How the slot is."""
    what = f"slot {name}"
    make = f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"
    if not there:
        return Finding(what, "error", "not there", f"run {make}", (make,))
    plugin, of, status, is_active, behind = there[0]
    if (plugin, of) != ("pgoutput", database):
        return Finding(
            what, "error", f"{plugin or 'physical'}, of {of or 'no database'}", "choose another name for ours"
        )
    if status == "lost":
        cure = (f"SELECT pg_drop_replication_slot('{name}')", make)
        return Finding(what, "error", "lost, as it was too far behind", f"run {'; '.join(cure)}", cure)
    found = f"{'followed' if is_active else 'nobody follows'}, {format_size(max(0, behind or 0))} behind, {status}"
    if not is_active or status != "reserved":
        return Finding(what, "warning", found, "start forecache sequencer, or drop the slot if nobody needs it")
    return Finding(what, "ok", found)


def schema(asking: Asking, *, is_superuser: bool) -> Iterator[Finding]:
    """The trigger that tells of changed tables."""
    there = asking.ask(HAS_SCHEMA_TRIGGER)[0][0]
    advice = (
        "create it as a superuser: until then, that tables are exchanged or get partitions is noticed after seconds"
    )
    cure = CREATE_SCHEMA_TRIGGER if is_superuser else ()
    yield look("schema trigger", there, "there" if there else "not there", advice, cure=cure, otherwise="warning")


def synchronous(asking: Asking, patient: Patient, facts: dict[str, Any]) -> Iterator[Finding]:
    """Whether commits wait for us, and whether that is safe."""
    if calls(facts["standbys"], NO_STANDBY):
        advice = "name the real standbys: with *, commits would wait for forecache sequencer, which waits for them"
        yield Finding("synchronous_standby_names", "error", facts["standbys"], advice)
        return
    if not calls(facts["standbys"], patient.standby):
        yield Finding("synchronous mode", "ok", "off")
        return
    advice = f"name it where all are waited for, as {all_of(facts['standbys'])!r}: as it is, strong asks the database"
    waited = requires(facts["standbys"], patient.standby)
    yield look("synchronous_standby_names", waited, facts["standbys"], advice, otherwise="warning")
    count = asking.ask(WAITED_FOR, [patient.standby])[0][0]
    advice = "let somebody follow by that name, or switch off with --synchronous off: every commit of the server waits"
    yield look("synchronous mode", count > 0, f"on, {count} follow", advice)
    lowered = [row[0] for row in asking.ask(LOWERED)]
    waits = facts["synchronous_commit"] not in {"off", "local"} and not lowered
    found = ", ".join(lowered) or facts["synchronous_commit"]
    advice = "commits with off or local do not wait, so 'strong' does not hold for them; reset it"
    yield look("synchronous_commit", waits, found, advice)
    advice = "set it to off: after a crash, waiting commits become visible at once"
    cure = lasting("restart_after_crash", "off")
    yield look(
        "restart_after_crash", facts["restarts"] == "off", facts["restarts"], advice, cure=cure, otherwise="warning"
    )
