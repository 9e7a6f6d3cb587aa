"""What to do about a file that may not be read: let it be read, and touch nothing that is in it."""

from __future__ import annotations

import shlex

from pytest_mdm_health.core.findings import remedy_of
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.host.permissions import Barrier


def allowed(barrier: Barrier, home: str) -> Remedy:
    """Give this user the permission that is missing; what is not in the home is not for our own verbs."""
    path = shlex.quote(barrier.path)
    if barrier.own:
        in_home = barrier.path.startswith(f"{home.rstrip('/')}/")
        allow = Repair("permissions", barrier.path, ("readable",)) if in_home else f"chmod u+rX -- {path}"
        return remedy_of(f"Allow yourself to read {barrier.path}; nothing says that it is damaged.", [allow])
    text = (
        f"{barrier.path} belongs to another user: work as that user, or let an administrator allow you to read it or "
        "make it yours (chown), if nothing else that needs it runs as that user."
    )
    return Remedy(text, (f"ls -ld -- {path}",))
