"""Starts runner processes: one for an attempt, and one in waiting, so that a restart need not wait for Python.

Knows the command of a runner (standard library only, from the workspace's own copy of the ground floor). Refuses to
know which attempt should begin.
"""

import os
import subprocess
import time

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError

BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner.life import main; sys.exit(main())"
)
SPARE_IDLE_S = 60.0
Runner = subprocess.Popen[bytes]


class Runners:
    """`floor` is the folder that holds the copy of the ground floor (supervise/floor)."""

    def __init__(self, floor: str, python: str) -> None:
        self._command = [python, "-I", "-S", "-c", BOOT, floor]
        self._spare: Runner | None = None
        self._wanted_at_s = float("-inf")

    def start(self, folder: AttemptFolder, order_name: str) -> Runner:
        """A runner that was told to begin (or watch) that attempt. Raises WorldError."""
        spare, self._spare = self._spare, None
        if spare is not None and _tell(spare, folder, order_name):
            return spare
        log = files.open_append(folder.runner_log)
        try:
            return self._spawn([folder.path, order_name], subprocess.DEVNULL, log)
        finally:
            os.close(log)

    def keep_spare(self, wanted: bool) -> None:
        """Have a runner in waiting while it is wanted, and for a while after. It is only a matter of speed: if none
        can be had, so be it."""
        if wanted:
            self._wanted_at_s = time.monotonic()
        idle = time.monotonic() - self._wanted_at_s > SPARE_IDLE_S
        if self._spare is not None and (idle or self._spare.poll() is not None):
            spare, self._spare = self._spare, None
            _dismiss(spare)
        if wanted and self._spare is None:
            try:
                self._spare = self._spawn([], subprocess.PIPE, subprocess.DEVNULL)
            except WorldError:
                return

    def _spawn(self, words: list[str], stdin: int, log: int) -> Runner:
        try:
            return subprocess.Popen(
                [*self._command, *words],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise WorldError(f"cannot start a runner: {error.strerror}") from error


def clean_environment() -> dict[str, str]:
    """Our environment less everything that could reach into a runner: a training gets its run's own."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OUTLAST_", "PYTHON", "LD_"))
    }


def _tell(spare: Runner, folder: AttemptFolder, order_name: str) -> bool:
    assert spare.stdin is not None
    try:
        with spare.stdin as ear:
            ear.write(os.fsencode(folder.path) + b"\0" + os.fsencode(order_name) + b"\0")
    except OSError:
        spare.kill()
        spare.wait()
        return False
    return True


def _dismiss(spare: Runner) -> None:
    assert spare.stdin is not None
    spare.stdin.close()
    spare.kill()
    spare.wait()
