"""The life of a runner, from its first reservation to its last act: begin one attempt, or take over its watch.

    reserve room for the last words -> claim, locked from birth -> resume check -> fork, gate, started.json, "go"
    -> watch -> sweep -> exit.json -> make sure that somebody rules

Started as `python -I -S -c BOOT ROOT ATTEMPT_DIR ORDER_NAME`, or without the last two as a runner in waiting (`spare`).
Leaves with 0 when the end is recorded, with 75 when there is nothing here for it to do. Knows doors and their order.
Refuses to know why this attempt, and what follows.
"""

from __future__ import annotations

import os
import sys

from outlast.disk import attempt, clock, files, identity
from outlast.disk.layout import AttemptFolder
from outlast.errors import OK, TRY_AGAIN, WorldError
from outlast.runner import attire, begin, ring, spare, takeover
from outlast.runner.ears import Ears
from outlast.runner.post import Post
from outlast.runner.takeover import Leave
from outlast.runner.watch import place_of
from outlast.runner.words import Words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1


def main() -> int:
    told = (sys.argv[1], sys.argv[2]) if len(sys.argv) > 1 else spare.orders()
    if told is None:
        return OK
    folder, order_name = AttemptFolder(told[0]), told[1]
    try:
        if len(sys.argv) == 1:
            spare.speak_into(files.open_append(folder.runner_log))
        umask = attire.put_on(folder.path)
        words = Words(folder)
    except (OSError, WorldError) as error:
        print(f"outlast runner: {error}", flush=True)
        return TRY_AGAIN
    try:
        live(folder, order_name, words, umask)
    except (Leave, WorldError) as error:
        words.say_aloud(f"leaving: {error}")
        return TRY_AGAIN
    return OK


def live(folder: AttemptFolder, order_name: str, words: Words, umask: int) -> None:
    """Raises Leave and WorldError: nothing was done here, or another does it."""
    _refuse_if_removed(folder)
    before = folder.before()
    if before is not None and not attempt.is_over(before):
        raise Leave(f"attempt {before.n} is not over")
    post = Post(folder, order_name, words, Ears())
    try:
        made = files.make_once(folder.claim, _claim(order_name, post.order), lock=True)
        if made.ours:
            begin.begin(post, umask)
        else:
            takeover.take_over(post, made.record)
        post.tidy()
    finally:
        post.reserved.release()
    ring.ensure(place_of(folder, post.order), list(post.order.get("supervisor") or ()))


def _refuse_if_removed(folder: AttemptFolder) -> None:
    """A launch that comes late, from a supervisor that does not know that it was superseded, makes a removed run's
    folder again, and in it no door is shut. What has begun is watched whatever is missing."""
    record = folder.run().record
    if not os.path.lexists(record) and not os.path.lexists(folder.claim):
        raise Leave(f"{record} is not there: the run was removed")


def _claim(order_name: str, order: dict[str, Any]) -> dict[str, Any]:
    me = identity.identity()
    where = {"type": "Where", "cluster": "", "job": "", "submitted": "", "restarts": 0}
    return {
        "schema": SCHEMA,
        "kind": "begun",
        "by": me,
        "where": {**where, "backend": order["backend"], "host": me["host"]},
        "order": order_name,
        "at": clock.moment(),
    }
