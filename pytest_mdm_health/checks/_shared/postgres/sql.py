"""What PostgreSQL servers are asked about their connections, from 12 on; each statement is cheap."""

from __future__ import annotations

SESSIONS = """
SELECT coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, ''), count(*)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 50
"""

IDLE = """
SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), coalesce(host(client_addr), ''), state,
  extract(epoch FROM clock_timestamp() - state_change)::float8, coalesce(query, ''), datname,
  pid = ANY(ARRAY(SELECT unnest(pg_blocking_pids(l.pid)) FROM pg_locks l WHERE NOT l.granted)),
  to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  backend_xid IS NOT NULL AND state <> 'idle in transaction (aborted)'
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND state LIKE 'idle%' AND backend_type = 'client backend'
ORDER BY state_change LIMIT 200
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
