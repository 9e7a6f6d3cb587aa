"""What PostgreSQL servers are asked, from 12 on. Each statement is cheap: it reads catalogues and counters only."""

from __future__ import annotations

SERVER = """
SELECT current_setting('server_version'), current_user, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  extract(epoch FROM clock_timestamp() - coalesce(
    (SELECT least(max(stats_reset), clock_timestamp()) FROM pg_stat_database WHERE datname IS NOT NULL),
    pg_postmaster_start_time()))::float8,
  current_setting('max_connections')::int,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int,
  pg_size_bytes(current_setting('shared_buffers')), pg_size_bytes(current_setting('effective_cache_size')),
  pg_size_bytes(current_setting('work_mem')),
  current_setting('autovacuum')::bool AND current_setting('track_counts')::bool
"""

DATABASES = """
SELECT d.datname,
  CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
    THEN pg_database_size(d.oid) END,
  coalesce(s.blks_hit, 0), coalesce(s.blks_read, 0), (to_jsonb(s) ->> 'checksum_failures')::bigint,
  greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)), d.datistemplate
FROM pg_database d LEFT JOIN pg_stat_database s ON s.datid = d.oid ORDER BY d.datname
"""

SESSIONS = """
SELECT coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, ''), count(*)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 50
"""

IDLE = """
SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), coalesce(host(client_addr), ''), state,
  extract(epoch FROM clock_timestamp() - state_change)::float8, coalesce(query, ''), datname,
  pid = ANY(ARRAY(SELECT unnest(pg_blocking_pids(l.pid)) FROM pg_locks l WHERE NOT l.granted))
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND state LIKE 'idle%' AND backend_type = 'client backend'
ORDER BY state_change LIMIT 200
"""

BLOCKED = """
SELECT DISTINCT ON (l.pid) l.pid, pg_blocking_pids(l.pid),
  extract(epoch FROM clock_timestamp() - coalesce((to_jsonb(l) ->> 'waitstart')::timestamptz, a.state_change))::float8,
  coalesce(a.query, '')
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND coalesce(a.application_name, '') <> ? ORDER BY l.pid LIMIT 100
"""

BLOCKING = """
SELECT pid, coalesce(query, ''), coalesce(state, ''), coalesce(application_name, ''), coalesce(usename, '')
FROM pg_stat_activity
WHERE pid = ANY(?)
"""

EXTENSION = """
SELECT quote_ident(n.nspname) || '.pg_stat_statements', coalesce(bool_or(a.attname = 'mean_exec_time'), false),
  to_regclass(quote_ident(n.nspname) || '.pg_stat_statements_info') IS NOT NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(quote_ident(n.nspname) || '.pg_stat_statements')
WHERE e.extname = 'pg_stat_statements' GROUP BY 1, 3
"""

STATEMENTS = """
SELECT d.datname, left(s.query, 4000), sum(s.calls)::bigint, (sum(s.{total}) / sum(s.calls))::float8
FROM {view} s JOIN pg_database d ON d.oid = s.dbid
WHERE s.query <> '<insufficient privilege>' AND s.calls > 0 AND d.datname = ANY(?)
GROUP BY 1, 2 HAVING sum(s.{total}) / sum(s.calls) > ? OR left(s.query, 4000) ~* '\\mWHERE\\M'
ORDER BY sum(s.{total}) DESC LIMIT 1000
"""

MOST = """
SELECT d.datname, s.queryid::text, left(s.query, 4000), sum(s.calls)::bigint, sum(s.{total})::float8
FROM {view} s JOIN pg_database d ON d.oid = s.dbid
WHERE s.query <> '<insufficient privilege>' AND s.queryid IS NOT NULL AND s.calls > 0 AND d.datname = ANY(?)
GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2 LIMIT ?
"""

SINCE = "SELECT coalesce(extract(epoch FROM stats_reset)::text, '') FROM {view}_info"

TABLES = """
SELECT n.nspname, c.relname,
  CASE WHEN EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
    THEN c.relpages::bigint * current_setting('block_size')::bigint ELSE pg_table_size(c.oid) END AS size,
  greatest(s.n_live_tup, c.reltuples)::bigint, s.n_dead_tup, s.n_mod_since_analyze,
  coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL OR EXISTS (SELECT FROM pg_stats p
    WHERE p.schemaname = n.nspname AND p.tablename = c.relname),
  coalesce((SELECT o.option_value IN ('false', 'off', 'no', '0') FROM pg_options_to_table(c.reloptions) o
    WHERE o.option_name = 'autovacuum_enabled'), false),
  coalesce(s.seq_scan, 0), coalesce(s.idx_scan, 0),
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' ORDER BY size DESC, 1, 2 LIMIT 200
"""

INVALID_INDEXES = """
SELECT n.nspname, i.relname, t.relname, x.indisunique
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE NOT x.indisvalid AND i.relkind = 'i' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid)
ORDER BY 1, 2
"""

LIMITS = """
SELECT 'the server''s max_connections', current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,
  (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid())
UNION ALL
SELECT 'the connection limit of the role ' || rolname, rolconnlimit,
  (SELECT count(*) FROM pg_stat_activity WHERE usename = rolname AND pid <> pg_backend_pid())
FROM pg_roles WHERE rolname = current_user
UNION ALL
SELECT 'the connection limit of the database ' || datname, datconnlimit,
  (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND pid <> pg_backend_pid())
FROM pg_database d WHERE datname = ANY(?)
"""
