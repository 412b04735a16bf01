"""What makes every Python of a training ready to show its stacks, with no code change: a folder on its PYTHONPATH.

Knows the variables. Refuses to know what the folder does.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "injected")


def environment(env: Mapping[str, str], runner_pid: int) -> dict[str, str]:
    """What to set in a training's environment `env`. Nothing where the folder's name cannot stand in a PYTHONPATH."""
    if os.pathsep in FOLDER:
        return {}
    inherited = env.get("PYTHONPATH", "")
    others = [path for path in inherited.split(os.pathsep) if path != FOLDER] if inherited else []
    return {"PYTHONPATH": os.pathsep.join([FOLDER, *others]), "OUTLAST_RUNNER_PID": str(runner_pid)}
