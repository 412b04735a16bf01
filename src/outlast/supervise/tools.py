"""What a supervisor is given by the command line: hands behind seams, and how it is to behave."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from outlast.disk.layout import AttemptFolder
from outlast.facts import Order, RunId, Spec
from outlast.seams import Backend, CheckpointFormat
from outlast.supervise.remove import Removals

Complete = Callable[[Spec, Order, AttemptFolder], Order]


class Tools(NamedTuple):
    """`complete` adds to an order what only this host knows; `slots` reads the configuration anew; `command` starts a
    supervisor of this place; `removals` lives as long as the supervisor, whatever the term."""

    backend: Backend
    formats: Sequence[CheckpointFormat]
    complete: Complete
    slots: Callable[[], int]
    command: tuple[str, ...]
    removals: Removals


class Manner(NamedTuple):
    """`stay` when idle; `up` takes back a `down`; `inline` serves one run and hears a person's signals for it."""

    stay: bool = False
    up: bool = False
    inline: RunId | None = None
