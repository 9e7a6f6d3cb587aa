"""The rules that a server can answer itself: one query for each, whose rows are the findings. From PostgreSQL 12 on.

A query gives `severity` and `subject`, what was seen as `evidence` if that is worth more than the message, and the
values that the sentences of its rule need. It may use `context`, which has one row:

* `database`: the one that is examined; empty for questions about the server.
* `ours`, `registered`: the databases that are named as MDM names them, and those that registrations refer to.
* `settled`: whether what autovacuum has not done by now is left undone; `hours`: of statistics.
* `ram`: the memory of the machine in bytes, null if that is not this one; `cache`: the server's own.

Each statement is cheap: it reads catalogues and counters only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_mdm_health.checks.postgres_slowdown.findings import (
    CACHE_MISSES,
    CHECKSUM_FAILURE,
    COLLATION_VERSION,
    DEAD_ROWS,
    HIDDEN_ROWS,
    INVALID_INDEX,
    INVALID_UNIQUE_INDEX,
    LEFT_OVER_INDEX,
    MEMORY_SETTINGS,
    NEVER_ANALYSED,
    NO_PRIVILEGE,
    PREPARED_TRANSACTION,
    READ_ONLY,
    SEQUENCE_BEHIND,
    SEQUENTIAL_SCAN,
    STALE_STATISTICS,
    UNLOGGED_TABLE,
    UNREGISTERED_DATABASE,
    WRAPAROUND,
)
from pytest_mdm_health.core.findings import Rule

LARGE_TABLE = 8 * 1024 * 1024
"""Bytes from which on it matters how a table is read."""

SCANS = "sequential-scan"
"""The query that gives candidates: whether statements filter the table is in the server's record of statements."""

ABOUT_REGISTERED_TABLES = ("hidden-rows", "no-privilege")
"""The queries whose answers matter only for tables that a dataset has registered."""

_CONTEXT = """
WITH context AS (SELECT
  ?::text AS database, ?::text[] AS ours, ?::text[] AS registered, ?::bool AS settled, ?::float8 AS hours,
  ?::bigint AS ram,
  pg_size_bytes(current_setting('shared_buffers')) AS cache
), found AS ({query})
SELECT to_jsonb(found) FROM found
"""
_DATABASES = """(
  SELECT *, CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
    THEN pg_database_size(oid) END AS size
  FROM pg_database
)"""
_TABLES = """(
  SELECT n.nspname AS schema, c.relname, format('%I.%I', n.nspname, c.relname) AS sql_name,
    CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name,
    CASE WHEN EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
      THEN c.relpages::bigint * current_setting('block_size')::bigint ELSE pg_table_size(c.oid) END AS size,
    greatest(s.n_live_tup, c.reltuples, 0)::bigint AS rows,
    coalesce(s.n_dead_tup, 0) AS dead,
    coalesce(s.n_mod_since_analyze, 0) AS changed,
    coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL OR EXISTS (SELECT FROM pg_stats p
      WHERE p.schemaname = n.nspname AND p.tablename = c.relname) AS analysed,
    coalesce((SELECT o.option_value IN ('false', 'off', 'no', '0') FROM pg_options_to_table(c.reloptions) o
      WHERE o.option_name = 'autovacuum_enabled'), false) AS without_autovacuum,
    coalesce(s.seq_scan, 0) AS sequential_scans,
    coalesce(s.idx_scan, 0) AS index_scans,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' ORDER BY size DESC, 1, 2 LIMIT 200
)"""
"""The largest tables of a database. The size of one that is locked exclusively is an estimate: asking would wait."""

_OF_TABLE = """
  database || '.' || name AS subject, CASE WHEN settled OR without_autovacuum THEN 'warn' ELSE 'note' END AS severity,
  database, name AS table"""
_UNFINISHED_INDEXES = """(
  SELECT i.relname, t.relname AS table, x.indisunique, format('%I.%I', n.nspname, i.relname) AS sql_name,
    CASE n.nspname WHEN 'public' THEN i.relname ELSE n.nspname || '.' || i.relname END AS name,
    i.relname ~ '_cc(new|old)[0-9]*$' AND EXISTS (SELECT FROM pg_index o WHERE o.indrelid = x.indrelid AND o.indisvalid
      AND (o.indkey::text, o.indclass::text, o.indcollation::text, o.indoption::text)
        = (x.indkey::text, x.indclass::text, x.indcollation::text, x.indoption::text)
      AND o.indpred::text IS NOT DISTINCT FROM x.indpred::text
      AND o.indexprs::text IS NOT DISTINCT FROM x.indexprs::text) AS left_over
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace
  WHERE NOT x.indisvalid AND i.relkind = 'i' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid)
)"""
_OF_INDEX = "database || ' ' || name AS subject, 'warn' AS severity, database, name AS index, i.table"


_OWN_TABLES = """(
  SELECT c.oid, c.relpersistence, n.nspname AS schema, c.relname, format('%I.%I', n.nspname, c.relname) AS sql_name,
    CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name,
    pg_get_userbyid(c.relowner) AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY n.nspname, c.relname LIMIT 1000
)"""
"""The tables of a database that no extension brought along."""

_READ_TABLES = _OWN_TABLES.replace("('r', 'p')", "('r', 'p', 'v', 'm', 'f')")
"""These and views, materialized ones too, and foreign tables: all that MDM can read."""

_SHOWN_BY_POLICIES = """(
  SELECT polrelid, bool_or(polpermissive AND shows) AND bool_and(polpermissive OR shows) AS all_rows
  FROM pg_policy, LATERAL (SELECT coalesce(CASE
      WHEN polqual::text ~ '[{](VAR|SUBLINK|FUNCEXPR|PARAM)' THEN false
      ELSE (xpath('/row/shows/text()', query_to_xml(
        format('SELECT (%s) AS shows', pg_get_expr(polqual, polrelid)), false, true, '')))[1]::text::bool
    END, false) AS shows) evaluated
  WHERE polcmd IN ('*', 'r') AND polqual IS NOT NULL AND (0 = ANY(polroles)
    OR EXISTS (SELECT FROM unnest(polroles) member WHERE member <> 0 AND pg_has_role(current_user, member, 'USAGE')))
  GROUP BY polrelid
)"""
"""The tables with policies for the role that reads, and whether those show all rows, whatever is in these."""

_NUMBERED = """(
  SELECT t.name, t.sql_name, a.attname AS column, format('%I', a.attname) AS sql_column, s.last_value AS last,
    s.increment_by > 0 AS ascends
  FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    JOIN pg_namespace qn ON qn.oid = q.relnamespace
    JOIN pg_sequences s ON s.schemaname = qn.nspname AND s.sequencename = q.relname
    JOIN {tables} t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND has_table_privilege(t.oid, 'SELECT')
    AND has_schema_privilege(t.schema, 'USAGE') AND NOT row_security_active(t.oid)
    AND has_sequence_privilege(q.oid, 'SELECT')
    AND EXISTS (SELECT FROM pg_index x WHERE x.indrelid = t.oid AND x.indisvalid AND x.indkey[0] = a.attnum)
    AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = t.oid AND l.mode = 'AccessExclusiveLock')
)""".replace("{tables}", _OWN_TABLES)
"""The columns that a sequence numbers and an index leads with, so that their highest value is found at once."""


@dataclass(frozen=True)
class Query:
    """A rule as a question to the server.

    Attributes:
        rule: whose findings its rows are.
        sql: the question.
        since: the first version of the server that can answer it, as the driver numbers it.
    """

    rule: Rule
    sql: str
    since: int = 0

    @property
    def statement(self) -> str:
        """The question with its context, which takes six parameters; one row of JSON for each finding."""
        return _CONTEXT.replace("{query}", self.sql)


OF_SERVER: Mapping[str, Query] = {
    "memory-settings": Query(
        MEMORY_SETTINGS,
        f"""
        SELECT setting AS subject, 'note' AS severity, setting, value AS size, per, ram, data,
          better / 1048576 || 'MB' AS better, effective_after,
          'SELECT name, setting, unit, source, sourcefile FROM pg_settings WHERE name = ' || quote_literal(setting)
            AS statement
        FROM context, (SELECT coalesce(sum(size), 0) AS data FROM {_DATABASES} d) d, LATERAL (SELECT
            current_setting('max_connections')::int AS connections,
            pg_size_bytes(current_setting('effective_cache_size')) AS effective_cache,
            pg_size_bytes(current_setting('work_mem')) AS work
          ) now, LATERAL (VALUES
            ('shared_buffers', cache, '', ram / 4, 'restart the server',
              cache > ram / 2 OR (cache < ram / 16 AND data > 8 * cache)),
            ('effective_cache_size', effective_cache, '', ram / 2, 'reload the server''s settings',
              effective_cache > ram),
            ('work_mem', work, ' for each of ' || connections || ' connections',
              greatest(4 * 1048576, ram / 4 / connections), 'reload the server''s settings', work * connections > ram)
          ) AS settings (setting, value, per, better, effective_after, misfit)
        WHERE misfit
        """,  # noqa: S608 - ours
    ),
    "checksum-failure": Query(
        CHECKSUM_FAILURE,
        """
        SELECT d.datname AS subject, 'fail' AS severity, d.datname AS database, s.checksum_failures AS failures
        FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
        WHERE s.checksum_failures > 0 ORDER BY 1
        """,
    ),
    "wraparound": Query(
        WRAPAROUND,
        """
        SELECT datname AS subject, CASE WHEN age >= 1900000000 THEN 'fail' ELSE 'warn' END AS severity,
          datname AS database, round(age / 1e6) AS millions
        FROM (SELECT datname, greatest(age(datfrozenxid), mxid_age(datminmxid)) AS age FROM pg_database) d
        WHERE age >= 1000000000 ORDER BY 1
        """,
    ),
    "prepared-transaction": Query(
        PREPARED_TRANSACTION,
        """
        SELECT database || ' ' || gid AS subject, 'warn' AS severity, database, gid AS name, owner,
          extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds,
          'SELECT gid, prepared, owner, database FROM pg_prepared_xacts' AS statement
        FROM (SELECT gid, prepared, owner, database::text FROM pg_prepared_xacts) p
        WHERE clock_timestamp() - prepared > interval '5 minutes' ORDER BY prepared LIMIT 20
        """,
    ),
    "read-only": Query(
        READ_ONLY,
        """
        SELECT subject, 'warn' AS severity, found.database, reason, statement FROM context, LATERAL (
          SELECT d.datname AS subject, d.datname::text AS database, 2 AS rank,
            'default_transaction_read_only is set for ' || CASE WHEN s.setrole = 0 THEN 'the database'
              ELSE 'the role ' || pg_get_userbyid(s.setrole) END AS reason,
            'SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting' AS statement
          FROM pg_db_role_setting s JOIN pg_database d ON s.setdatabase IN (0, d.oid)
          WHERE d.datname = ANY(registered) AND (s.setrole = 0 OR pg_get_userbyid(s.setrole) = current_user)
            AND s.setconfig && ARRAY['default_transaction_read_only=on', 'default_transaction_read_only=true',
              'default_transaction_read_only=1', 'default_transaction_read_only=yes']
          UNION ALL
          SELECT 'server', 'the databases of this server', 1, 'the server is a standby, which follows another one',
            'SELECT pg_is_in_recovery()'
          WHERE pg_is_in_recovery()
        ) found ORDER BY rank, subject
        """,
    ),
    "cache-misses": Query(
        CACHE_MISSES,
        f"""
        SELECT d.datname AS subject, CASE WHEN fits THEN 'warn' ELSE 'note' END AS severity,
          jsonb_build_object('hits', blks_hit, 'reads', blks_read) AS evidence,
          d.datname AS database, d.size, cache, round(100.0 * blks_read / (blks_hit + blks_read)) AS percent,
          CASE WHEN fits THEN ', though all of it would fit into memory' ELSE '' END AS would_fit
        FROM context, {_DATABASES} d JOIN pg_stat_database s ON s.datid = d.oid,
          LATERAL coalesce(d.size * 4 < ram, false) AS fits
        WHERE d.datname = ANY(ours) AND blks_hit + blks_read >= 100000 AND blks_hit < 0.9 * (blks_hit + blks_read)
          AND d.size > cache ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "unregistered-database": Query(
        UNREGISTERED_DATABASE,
        f"""
        SELECT datname AS subject, 'note' AS severity, datname AS database, size
        FROM context, {_DATABASES} d WHERE datname = ANY(ours) AND datname <> ALL(registered) ORDER BY 1
        """,  # noqa: S608 - ours
    ),
}
OF_DATABASE: Mapping[str, Query] = {
    "never-analysed": Query(
        NEVER_ANALYSED,
        f"""
        SELECT {_OF_TABLE}, size, sql_name
        FROM context, {_TABLES} t WHERE size >= {LARGE_TABLE} AND NOT analysed
        """,  # noqa: S608 - ours
    ),
    "stale-statistics": Query(
        STALE_STATISTICS,
        f"""
        SELECT {_OF_TABLE}, changed, rows, sql_name
        FROM context, {_TABLES} t
        WHERE (analysed OR size < {LARGE_TABLE}) AND changed >= 10000 AND changed > 0.5 * rows
        """,  # noqa: S608 - ours
    ),
    "dead-rows": Query(
        DEAD_ROWS,
        f"""
        SELECT {_OF_TABLE}, dead, rows, sql_name
        FROM context, {_TABLES} t WHERE dead >= 10000 AND dead > 0.3 * (rows + dead)
        """,  # noqa: S608 - ours
    ),
    SCANS: Query(
        SEQUENTIAL_SCAN,
        f"""
        SELECT database || '.' || name AS subject, 'warn' AS severity, database, database || '.' || name AS table,
          size, sql_name, sequential_scans AS scans, relname, columns,
          greatest(20, 4 * index_scans, hours) AS often,
          'SELECT indexdef FROM pg_indexes WHERE tablename = ' || quote_literal(relname) AS statement,
          jsonb_build_object('full_reads', sequential_scans, 'index_reads', index_scans) AS evidence
        FROM context, {_TABLES} t
        WHERE size >= {LARGE_TABLE} AND sequential_scans >= greatest(20, 4 * index_scans, hours)
        """,  # noqa: S608 - ours
    ),
    "invalid-index": Query(
        INVALID_INDEX,
        f"""
        SELECT {_OF_INDEX}, sql_name
        FROM context, {_UNFINISHED_INDEXES} i WHERE NOT indisunique AND NOT left_over ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "left-over-index": Query(
        LEFT_OVER_INDEX,
        f"""
        SELECT {_OF_INDEX}, format('SELECT pg_get_indexdef(%L::regclass)', sql_name) AS statement
        FROM context, {_UNFINISHED_INDEXES} i WHERE left_over ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "invalid-unique-index": Query(
        INVALID_UNIQUE_INDEX,
        f"""
        SELECT {_OF_INDEX}, format('SELECT pg_get_indexdef(%L::regclass)', sql_name) AS statement
        FROM context, {_UNFINISHED_INDEXES} i WHERE indisunique AND NOT left_over ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "collation-version": Query(
        COLLATION_VERSION,
        """
        SELECT database || ' database' AS subject, 'warn' AS severity, database, 'the database' AS name,
          d.datcollversion AS recorded, pg_database_collation_actual_version(d.oid) AS actual,
          'ALTER DATABASE ' || quote_ident(database) || ' REFRESH COLLATION VERSION' AS refresh,
          'SELECT datname, datcollversion, pg_database_collation_actual_version(oid) FROM pg_database' AS statement
        FROM context JOIN pg_database d ON d.datname = database
        WHERE d.datcollversion <> pg_database_collation_actual_version(d.oid)
        """,
        since=150000,
    ),
    "column-collation-version": Query(
        COLLATION_VERSION,
        """
        SELECT database || ' ' || l.collname AS subject, 'warn' AS severity, database,
          'the collation ' || l.collname AS name, l.collversion AS recorded,
          pg_collation_actual_version(l.oid) AS actual,
          'ALTER COLLATION ' || l.oid::regcollation || ' REFRESH VERSION' AS refresh,
          format('SELECT collversion, pg_collation_actual_version(oid) FROM pg_collation WHERE collname = %L',
            l.collname) AS statement
        FROM context, pg_collation l
        WHERE l.collversion IS NOT NULL AND l.collversion <> pg_collation_actual_version(l.oid)
          AND EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE a.attcollation = l.oid AND NOT a.attisdropped AND c.relnamespace <> 'pg_catalog'::regnamespace)
        ORDER BY 1
        """,
        since=130000,
    ),
    "unlogged-table": Query(
        UNLOGGED_TABLE,
        f"""
        SELECT database || '.' || name AS subject, 'warn' AS severity, database, name AS table,
          format('SELECT relname, relpersistence FROM pg_class WHERE relname = %L', relname) AS statement
        FROM context, {_OWN_TABLES} t WHERE database = ANY(registered) AND relpersistence = 'u' ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "sequence-behind": Query(
        SEQUENCE_BEHIND,
        f"""
        SELECT database || '.' || name || '.' || n.column AS subject, 'warn' AS severity, database, name AS table,
          n.column, coalesce(last, 0) AS last, highest,
          format('SELECT max(%s), pg_get_serial_sequence(%L, %L) FROM %s', sql_column, sql_name, n.column, sql_name)
            AS statement
        FROM context, {_NUMBERED} n, LATERAL (SELECT (xpath('/row/highest/text()', query_to_xml(
          format('SELECT max(%s) AS highest FROM %s', sql_column, sql_name), false, true, '')))[1]::text::numeric
            AS highest) h
        WHERE ascends AND highest > coalesce(last, 0) ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "hidden-rows": Query(
        HIDDEN_ROWS,
        f"""
        SELECT database || '.' || name AS subject, 'fail' AS severity, database, name AS table, current_user AS role,
          format('SELECT policyname, permissive, roles, cmd, qual FROM pg_policies WHERE tablename = %L', relname)
            AS statement
        FROM context, {_OWN_TABLES} t WHERE database = ANY(registered) AND row_security_active(t.oid)
          AND NOT EXISTS (SELECT FROM {_SHOWN_BY_POLICIES} p WHERE p.polrelid = t.oid AND p.all_rows) ORDER BY 1
        """,  # noqa: S608 - ours
    ),
    "no-privilege": Query(
        NO_PRIVILEGE,
        f"""
        SELECT database || '.' || name AS subject, 'fail' AS severity, database, name AS table, owner,
          current_user AS role, sql_name,
          CASE WHEN has_schema_privilege(t.schema, 'USAGE') THEN '' ELSE format('GRANT USAGE ON SCHEMA %I TO %I; ',
            t.schema, current_user) END || format('GRANT SELECT ON %s TO %I', sql_name, current_user) AS grant,
          format('SELECT relname, pg_get_userbyid(relowner), relacl FROM pg_class WHERE relname = %L', relname)
            AS statement
        FROM context, {_READ_TABLES} t WHERE database = ANY(registered)
          AND NOT (has_schema_privilege(t.schema, 'USAGE') AND (has_table_privilege(t.oid, 'SELECT')
            OR has_any_column_privilege(t.oid, 'SELECT')))
        ORDER BY 1
        """,  # noqa: S608 - ours
    ),
}
QUERIES: Mapping[str, Query] = {**OF_SERVER, **OF_DATABASE}
