"""The record of an end, as exit.json holds it: a dict with the keys of an Ending.

Knows the shape. Refuses to know how it came about.
"""

from __future__ import annotations

import os

from outlast.disk import clock, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.runner.ranks import Ranks
    from outlast.runner.stopping import Stopping

SCHEMA = 1


def never_began(why: str) -> dict[str, Any]:
    return {"type": "NeverBegan", "why": why}


def lost(why: str) -> dict[str, Any]:
    return {"type": "Lost", "why": why}


def of_status(status: int) -> dict[str, Any]:
    """By wait(2)."""
    if os.WIFSIGNALED(status):
        return {"type": "Signalled", "signal": os.WTERMSIG(status), "core": os.WCOREDUMP(status)}
    return {"type": "Exited", "code": os.WEXITSTATUS(status)}


def of_waitable(pid: int) -> dict[str, Any] | None:
    """Of a child that has ended, which stays as it is; None: it cannot be told."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return None
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return {"type": "Exited", "code": found.si_status}
    return {"type": "Signalled", "signal": found.si_status, "core": found.si_code == os.CLD_DUMPED}


def record(end: dict[str, Any], stopping: Stopping, ranks: Ranks | None, **more: Any) -> dict[str, Any]:
    first = ranks.first if ranks is not None else None
    words = ranks.last_words() if ranks is not None else []
    return {
        "schema": SCHEMA,
        "type": "Ending",
        "exit": end,
        "at": {"type": "Moment", **clock.moment()},
        "by": {"type": "Process", **identity.identity()},
        "told": stopping.told,
        "told_by": stopping.by,
        "first_step": first.first_step if first else None,
        "last_step": first.step if first else None,
        "total": first.total if first else None,
        "loss": first.loss if first else None,
        "last_words": words,
        **more,
    }
