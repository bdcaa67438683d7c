"""The schema trigger: what changes a table without writing its rows is said in the log, in the same transaction.

Attaching a partition, renaming tables in each other's place or dropping one changes what a query returns, and logical
replication tells nothing of it. An event trigger writes a message. It needs a superuser; without it, sources ask the
catalogue every few seconds.
"""

from __future__ import annotations

from typing import Final

from forecache.coherence.postgresql.transactions import SCHEMA_PREFIX

__all__ = ["CREATE_SCHEMA_TRIGGER", "HAS_SCHEMA_TRIGGER"]

FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION public._forecache_schema() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE changed record;
BEGIN
    IF tg_event = 'sql_drop' THEN
        FOR changed IN SELECT * FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary LOOP
            IF changed.object_type IN ('publication', 'publication relation') THEN
                PERFORM pg_logical_emit_message(true, '{SCHEMA_PREFIX}', '*');
            ELSIF changed.object_type = 'table' THEN
                PERFORM pg_logical_emit_message(true, '{SCHEMA_PREFIX}', changed.objid::text);
            END IF;
        END LOOP;
    ELSE
        FOR changed IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
            IF changed.object_type LIKE 'publication%' THEN
                PERFORM pg_logical_emit_message(true, '{SCHEMA_PREFIX}', '*');
            ELSIF changed.object_type = 'table' AND changed.schema_name IS DISTINCT FROM 'pg_temp' THEN
                PERFORM pg_logical_emit_message(true, '{SCHEMA_PREFIX}', oid::text) FROM (
                    WITH RECURSIVE above (oid) AS (
                        SELECT changed.objid UNION
                        SELECT i.inhparent FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.oid
                    ) SELECT oid FROM above
                ) AS concerned WHERE tg_tag <> 'CREATE TABLE' OR oid <> changed.objid;
            END IF;
        END LOOP;
    END IF;
END $$
"""  # noqa: S608 - constants
CREATE_SCHEMA_TRIGGER: Final = (
    FUNCTION.strip(),
    "DROP EVENT TRIGGER IF EXISTS _forecache_schema",
    "CREATE EVENT TRIGGER _forecache_schema ON ddl_command_end "
    "WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'ALTER PUBLICATION') EXECUTE FUNCTION public._forecache_schema()",
    "ALTER EVENT TRIGGER _forecache_schema ENABLE ALWAYS",
    "DROP EVENT TRIGGER IF EXISTS _forecache_drop",
    "CREATE EVENT TRIGGER _forecache_drop ON sql_drop EXECUTE FUNCTION public._forecache_schema()",
    "ALTER EVENT TRIGGER _forecache_drop ENABLE ALWAYS",
)
HAS_SCHEMA_TRIGGER: Final = """
SELECT count(*) = 2 FROM pg_event_trigger WHERE evtname IN ('_forecache_schema', '_forecache_drop') AND evtenabled = 'A'
"""
