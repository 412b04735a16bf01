"""Makes sure that somebody holds the place of this run: whoever rules may have died, and attempts end at any hour.

Knows the place's lock, whether its supervisor was told to leave, and the command that starts one. Refuses to know
what a supervisor does.
"""

from __future__ import annotations

import os

from outlast.disk import files
from outlast.errors import OutlastError
from outlast.runner import kernel
from outlast.runner.spawn import close_all_but, default_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.disk.layout import Place

EVERY_S, EVERY_S_MAX = (
    15.0,
    600.0,
)  # between two looks; a supervisor that never comes to hold its place is tried less
OURS = ("OUTLAST_", "PYTHON")


def is_missing(place: Place) -> bool:
    """Whether nobody holds the place though somebody should: not if it was told to leave."""
    try:
        if files.is_locked(place.lock):
            return False
        said = files.read(place.supervisor)
    except OutlastError:
        return False  # unseen: the next look is soon
    return said is None or said.get("wanted") is not False


def next_wait_s(wait_s: float, *, started: bool) -> float:
    return min(2 * wait_s, EVERY_S_MAX) if started else EVERY_S


def ensure(place: Place, command: list[str]) -> bool:
    """Start a supervisor if there should be one and is none. Whether one was started (another may be quicker)."""
    if not command or not is_missing(place):
        return False
    return start(command, place.log)


def start(command: list[str], log_path: str) -> bool:
    """Detached: own session, no inherited descriptors, none of our variables, and not our descendant: for a moment
    we are no subreaper, so that the orphan goes to pid 1 and is never taken for a part of the training."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kernel.be_subreaper(False)
    try:
        pid = os.fork()
        if pid == 0:
            _be_the_supervisor(command, env, log_path)
        os.waitpid(pid, 0)
        return True
    except OSError:
        return False
    finally:
        kernel.be_subreaper()


def _be_the_supervisor(command: list[str], env: dict[str, str], log_path: str) -> None:
    try:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        default_signals()
        os.chdir("/")
        log = files.open_append(log_path)
        null = os.open(os.devnull, os.O_RDWR)
        for number, fd in enumerate((null, log, log)):
            os.dup2(fd, number)
        close_all_but({0, 1, 2})
        os.execve(command[0], command, env)
    finally:
        os._exit(127)
