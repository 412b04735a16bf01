"""Takes over the watch of an attempt that another runner began and no longer watches: replaced, not diagnosed.

The training goes on, unharmed; limits, stops and the sweep go on; the end is recorded as lost, or as the kernel tells
it. Knows whose attempts can be judged from here. Refuses to start anything.
"""

from __future__ import annotations

import os

from outlast.disk import files, identity
from outlast.errors import WorldError
from outlast.runner import ending, kernel, post
from outlast.runner.spawn import NOT_STARTED
from outlast.runner.tree import Tree
from outlast.runner.watch import Subject, told_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.disk.identity import Identity
    from outlast.disk.layout import AttemptFolder
    from outlast.runner.post import Post

LOCK_TRIES = 40  # a second: those who only look hold a shared lock for a moment
LEFT_AT_THE_GATE = {"type": "Exited", "code": NOT_STARTED}  # or a training's own: nobody can tell
STATUS_S = 0.5  # for the training's parent, whoever that is now, to reap it
REBOOT = {
    "type": "Word",
    "state": "REBOOT",
    "reason": "this host was started anew since",
    "code": "",
    "at": "",
}


class Leave(Exception):
    """There is nothing here for us to do."""


def take_over(mine: Post, claim: dict[str, Any]) -> None:
    """From a claim that stood already to the record of the end. Raises Leave, WorldError."""
    _check_it_is_ours_to_judge(claim)
    mine.is_heir = True
    lock = _lock(mine.folder, claim)
    try:
        if files.read(mine.folder.exit) is not None:
            raise Leave(f"attempt {mine.folder.n} is over")
        mine.words.say(f"taking over the watch: runner {claim['by']['pid']} is gone")
        _be_its_runner(mine, claim)
    finally:
        os.close(lock)


def _check_it_is_ours_to_judge(claim: dict[str, Any]) -> None:
    if claim.get("kind") == "shut":
        raise Leave(f"the door is shut: {claim.get('why')}")
    by: Identity = claim["by"]
    if by["boot"] != identity.boot_id():
        if by["host"] != identity.host():
            raise Leave(f"it began on host {by['host']}; only that host can judge it")
    elif by["pid_ns"] != identity.pid_namespace():
        raise Leave(
            "it began in another pid namespace of this host, whose processes cannot be seen from here"
        )


def _lock(folder: AttemptFolder, claim: dict[str, Any]) -> int:
    fd = files.open_lock(folder.claim, make=False)
    if files.try_lock_patiently(fd, LOCK_TRIES):
        return fd
    os.close(fd)
    raise Leave(f"its runner lives (pid {claim['by']['pid']} on {claim['by']['host']})")


def _be_its_runner(mine: Post, claim: dict[str, Any]) -> None:
    started = files.read(mine.folder.started)
    if claim["by"]["boot"] != identity.boot_id():
        _end_rebooted(mine, started)
        return
    if started is None:
        tree = Tree(mine.folder, mine.folder.path, None, ours=False)
        while not tree.end(0.0, mine.wait):
            mine.words.say_once("a process of an attempt that never began cannot be ended")
        mine.end_never_began("runner died before the start")
        return
    _use_the_order_that_began_it(mine, claim)
    _watch(mine, started)


def _watch(mine: Post, started: dict[str, Any]) -> None:
    child: Identity = started["child"]
    tree = Tree(mine.folder, started["attempt_dir"], child, ours=False, head_count=started["cgroup"])
    pidfd = identity.open_pidfd(child)
    subject = Subject(child["pid"], pidfd, started["at"]["mono_s"])
    watch = mine.watch(subject, tree, started["heartbeat"], started["resumed_step"])
    _remember_what_was_told(mine)
    watch.until_ended()
    status = None if pidfd is None else kernel.status_of(pidfd, child["pid"], child["start_ticks"], STATUS_S)
    swept = watch.sweep()
    end = ending.lost("its runner was gone when it ended")
    seen = mine.noted_end() if status is None else ending.of_status(status)
    if seen is not None and seen != LEFT_AT_THE_GATE:
        end = seen
    mine.end(end, watch, started, swept=swept)


def _remember_what_was_told(mine: Post) -> None:
    try:
        told = files.read(told_path(mine.folder))
    except WorldError:
        return  # the wish still stands
    if told is not None:
        mine.stopping.ask(str(told.get("told")), str(told.get("by")), mine.now_s())


def _end_rebooted(mine: Post, started: dict[str, Any] | None) -> None:
    """Other boot id on this host: all of it is dead, and what it said in memory is gone. What its runner published last
    is what is known of it."""
    if started is None:
        mine.end_never_began("runner died before the start")
        return
    watch = mine.watch(Subject(0, None, 0.0), Tree(mine.folder, "", None, ours=False), "", None)
    mine.end(ending.lost("reboot"), watch, {**started, "heartbeat": ""}, word=REBOOT, **_published(mine))


def _published(mine: Post) -> dict[str, Any]:
    """How long it lasted at least, and the steps that were seen."""
    try:
        shown = files.read(mine.folder.progress) or {}
    except WorldError as error:
        mine.words.say(f"what it reached is not known: {error}")
        shown = {}
    return {
        "lasted_s": shown.get("elapsed_s"),
        "first_step": shown.get("first_step"),
        "last_step": shown.get("step"),
        "total": shown.get("total"),
        "loss": shown.get("loss"),
    }


def _use_the_order_that_began_it(mine: Post, claim: dict[str, Any]) -> None:
    try:
        mine.use(post.order(mine.folder, str(claim.get("order"))))
    except WorldError as error:
        mine.words.say(f"watching by our own order: {error}")
