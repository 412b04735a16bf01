"""Attempts on this host: one runner process each, found again by its claim's lock.

Knows what the locks and the boot id say about it. Refuses to know why an attempt should begin, and never believes a
pid.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from outlast.backends.local.runners import Runner, Runners
from outlast.disk import files, identity
from outlast.disk.attempt import doors
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Begun,
    Closed,
    Doors,
    Gone,
    NoDoor,
    Nowhere,
    Order,
    Queued,
    Running,
    Shut,
    Unseen,
    Where,
    Whereabouts,
    Word,
)
from outlast.facts.codec import to_record

NAME = "local"
STOPPED_CONTINUE_S = 60.0  # a runner found stopped (state T) for so long is continued
STOPPED_KILL_S = 300.0  # and for so long is killed (not its training) and replaced


class LocalBackend:
    """`floor` is the folder that holds the workspace's copy of the ground floor (see supervise/floor.py)."""

    def __init__(self, workspace: Workspace, floor: str, python: str = sys.executable) -> None:
        self._workspace = workspace
        self._runners = Runners(floor, python)
        self._children: dict[AttemptId, Runner] = {}
        self._stopped_since: dict[AttemptId, float] = {}

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        self._reap()
        self._runners.keep_spare(any(isinstance(doors, Begun) for doors in attempts.values()))
        return {attempt: self._look(attempt, doors) for attempt, doors in attempts.items()}

    def launch(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if not self._is_on_its_way(order.attempt):
                self._start(order)

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        for attempt in attempts:
            runner = self._runner(attempt)
            if runner is not None:
                identity.send(runner, signal.SIGUSR2)

    def _folder(self, attempt: AttemptId) -> AttemptFolder:
        return self._workspace.run(attempt.run).attempt(attempt.n)

    def _look(self, attempt: AttemptId, doors: Doors) -> Whereabouts:
        here = Where(NAME, host=identity.host())
        match doors:
            case NoDoor():
                return Queued(here, "starting") if attempt in self._children else Nowhere()
            case Shut() | Closed():
                return Nowhere()
            case Begun():
                try:
                    return self._look_at_begun(attempt, doors)
                except WorldError as error:
                    return Unseen(str(error))

    def _look_at_begun(self, attempt: AttemptId, begun: Begun) -> Whereabouts:
        folder = self._folder(attempt)
        runner = to_record(begun.by)
        if runner["boot"] != identity.boot_id():  # same boot: this kernel, whatever name a container gave it
            if runner["host"] != identity.host():
                return Unseen(f"it began on host {runner['host']}; only that host can judge it")
            return Gone(begun.where, Word("REBOOT", "this host was started anew since"))
        locked = files.is_locked(folder.claim)
        if locked is None:
            return Unseen("its claim stood a moment ago and cannot be seen now")
        if locked:
            return Running(begun.where, watched=not self._is_stuck(attempt, runner))
        self._stopped_since.pop(attempt, None)
        if runner["pid_ns"] != identity.pid_namespace():
            return self._look_across_namespaces(folder, begun)
        return Running(begun.where, watched=False)

    def _look_across_namespaces(self, folder: AttemptFolder, begun: Begun) -> Whereabouts:
        """Begun in another pid namespace of this host (a container that was started anew): its locks speak."""
        if files.is_locked(folder.lease) or files.is_locked(folder.output):
            return Unseen("its training lives in another pid namespace")
        return Gone(
            begun.where, Word("NAMESPACE-ENDED", "its pid namespace is gone and nothing holds its locks")
        )

    def _is_stuck(self, attempt: AttemptId, runner: identity.Identity) -> bool:
        """Whether the runner has been stopped (state T) for a minute: `launch` then helps it on or replaces it."""
        fields = identity.stat_fields(runner["pid"]) if identity.here(runner) else None
        if fields is None or fields[0] != "T" or int(fields[19]) != runner["start_ticks"]:
            self._stopped_since.pop(attempt, None)
            return False
        return (
            time.monotonic() - self._stopped_since.setdefault(attempt, time.monotonic()) > STOPPED_CONTINUE_S
        )

    def _is_on_its_way(self, attempt: AttemptId) -> bool:
        self._reap()
        since = self._stopped_since.get(attempt)
        if files.is_locked(self._folder(attempt).claim):
            if since is not None:
                self._help_stopped_runner(attempt, time.monotonic() - since)
            return True
        return attempt in self._children

    def _help_stopped_runner(self, attempt: AttemptId, stopped_s: float) -> None:
        runner = self._runner(attempt)
        if runner is not None:
            identity.send(runner, signal.SIGKILL if stopped_s > STOPPED_KILL_S else signal.SIGCONT)

    def _runner(self, attempt: AttemptId) -> identity.Identity | None:
        claim = doors(self._folder(attempt)).get("claim")
        return claim["by"] if claim is not None and claim["kind"] == "begun" else None

    def _start(self, order: Order) -> None:
        folder = self._folder(order.attempt)
        name = os.path.basename(folder.order(order.term))
        self._children[order.attempt] = self._runners.start(folder, name)

    def _reap(self) -> None:
        for attempt, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[attempt]
