"""Holding a place on this host: a kernel lock that dies with us and that no child inherits.

The lock keeps the waste of two supervisors small; the safety lies in terms and doors.
"""

import logging
import os
from types import TracebackType
from typing import Any

import outlast
from outlast.disk import files
from outlast.disk.clock import moment
from outlast.disk.identity import alive, identity
from outlast.disk.layout import Place
from outlast.errors import TryAgain, WorldError
from outlast.facts import Moment

log = logging.getLogger(__name__)
SCHEMA = 1


class Hold:
    """Use as a context manager. Raises TryAgain naming the holder."""

    def __init__(self, place: Place, command: tuple[str, ...], inline: str | None) -> None:
        self.place, self.identity = place, identity()
        self._command, self._inline = command, inline
        self._fd = -1
        self._since = moment()

    def __enter__(self) -> "Hold":
        files.make_directory(self.place.path)
        self._fd = files.open_lock(self.place.lock)
        if not files.try_lock_patiently(self._fd):
            os.close(self._fd)
            raise TryAgain(f"place {self.place.name} is held by {_who(self.place)}")
        self.say(wanted=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def is_younger_than(self, at: Moment) -> bool:
        """Whether that was before we held this place, as far as this host's clock can tell."""
        return bool(at.boot == self._since["boot"] and at.mono_s < self._since["mono_s"])

    def say(self, *, wanted: bool, error: str = "") -> None:
        """Publish who we are; `wanted` False: we were told to leave, and no runner shall start another."""
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "pid": self.identity["pid"],
            "host": self.identity["host"],
            "boot_id": self.identity["boot"],
            "start_time": moment()["wall_s"],
            "version": outlast.__version__,
            "identity": self.identity,
            "command": list(self._command),
            "wanted": wanted,
            "inline": self._inline,
            "error": error,
        }
        try:
            files.replace(self.place.supervisor, record, durable=False)
        except WorldError as problem:  # it only informs: a full disk stops nobody from holding a place
            log.warning("not said: %s", problem)

    def still_ours(self) -> bool:
        """Whether the lock file that we hold is still the one that others would try."""
        try:
            return os.path.samestat(os.stat(self.place.lock), os.fstat(self._fd))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise WorldError(f"cannot look at {self.place.lock}: {error.strerror}") from error


def _who(place: Place) -> str:
    try:
        record = files.read(place.supervisor) or {}
    except WorldError as error:
        return f"a supervisor whose name cannot be read: {error}"
    if "identity" not in record or alive(record["identity"]) is False:  # its predecessor's, perhaps
        return "a supervisor that has not said its name yet"
    return f"the supervisor with pid {record['pid']} on {record['host']}"
