"""`end-session REGISTRATION PID BEGAN`: end a session on a PostgreSQL server that does nothing and holds nothing.

Only an idle session of MDM's own program is ended, and none that has written something and not committed it: that
would be lost. A process id is given to another session once it is free, so the moment when it began has to match.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.text import duration
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import OF_MDM, OURS, Connection
from pytest_mdm_health.repair.servers import Session, connection_for, session_on
from pytest_mdm_health.repair.step import NotDone, Outline

_SESSION = """
SELECT coalesce(application_name, ''), coalesce(state, ''), backend_xid IS NOT NULL AND state <> %s,
  extract(epoch FROM clock_timestamp() - state_change)::float8, state_change
FROM pg_stat_activity WHERE pid = %s AND backend_start = %s::timestamptz AND backend_type = 'client backend'
"""
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s::timestamptz AND application_name = %s AND state = %s AND state_change = %s
"""
_ABORTED = "idle in transaction (aborted)"
"""The state of a transaction that failed: what it wrote cannot be committed any more."""


@dataclass(frozen=True)
class EndSession:
    """The step; see the module."""

    repair: Repair
    connection: Connection
    pid: int

    def outline(self) -> Outline:
        """See `Step`."""
        with session_on(self.connection) as session:
            application, state, seconds, _ = self._session(session)
        return Outline(
            f"end the session {self.pid} of {application} on {self.connection.server}, {state} for {duration(seconds)}",
            details=(f"SELECT pg_terminate_backend({self.pid}), if it began at {self._began} and is still {state}",),
        )

    def act(self) -> str:
        """See `ServerStep`."""
        with session_on(self.connection) as session:
            application, state, seconds, since = self._session(session)
            ended = session.rows(_END, (self.pid, self._began, application, state, since))
            if ended != [(True,)]:
                raise NotDone(f"session {self.pid} on {self.connection.server} is not as it was a moment ago")
            gone = session.soon(lambda: not session.rows(_SESSION, self._parameters))
        if not gone:
            raise NotDone(f"session {self.pid} on {self.connection.server} did not end in time")
        idle = f"{state} for {duration(seconds)}"
        return f"ended the session {self.pid} of {application} on {self.connection.server}, which was {idle}"

    @property
    def _began(self) -> str:
        return self.repair.words[1]

    @property
    def _parameters(self) -> tuple[object, ...]:
        return (_ABORTED, self.pid, self._began)

    def _session(self, session: Session) -> tuple[str, str, float, object]:
        """Its program and its state, for how many seconds and since when.

        Raises:
            NotDone: it is none that can be ended.
        """
        found = session.rows(_SESSION, self._parameters)
        name = f"session {self.pid} on {self.connection.server}"
        if not found:
            raise NotDone(f"{name} is gone, or is another one than that which began at {self._began}")
        application, state, wrote, seconds, since = found[0]
        if not application.startswith(OF_MDM) or application == OURS:
            raise NotDone(f"{name} is of another program ({application or 'without a name'}); end it there")
        if not state.startswith("idle"):
            raise NotDone(f"{name} is not idle ({state or 'hidden from this role'})")
        if wrote:
            raise NotDone(
                f"{name} has written something and not committed it, which would be lost; end it in its program"
            )
        return application, state, seconds, since


def step(repair: Repair, home: Home) -> EndSession:
    """The step that a call means; see `step_of`."""
    pid = repair.words[0]
    if not pid.isascii() or not pid.isdigit():
        raise NotDone(f"{pid} is not a process id")
    return EndSession(repair, connection_for(repair, home), int(pid))
