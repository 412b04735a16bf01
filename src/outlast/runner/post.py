"""What a runner has in its hands once it has reserved what it needs, and how it leaves: the exit record, made once.

Knows the reserved room, the order, what was told. Refuses to know whether the attempt was begun here or taken over.
"""

from __future__ import annotations

import os
import time

from outlast.disk import files
from outlast.errors import RESUME_ME, Damaged, WorldError
from outlast.runner import cgroup, ending, final, ranks, reading, room
from outlast.runner.metrics import Metrics
from outlast.runner.obedience import Obedience
from outlast.runner.output import Output
from outlast.runner.progress import Progress
from outlast.runner.ranks import Ranks
from outlast.runner.saves import Saves
from outlast.runner.signs import Signs
from outlast.runner.stopping import NOW, STOP, Stopping
from outlast.runner.watch import Subject, Watch, told_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.ears import Ears
    from outlast.runner.tree import Tree
    from outlast.runner.words import Words

AGAIN_S = 1.0
BY_ITSELF = (6, 7)  # ABRT, BUS: so libraries die whose file cannot grow


class Gone(WorldError):
    """The attempt's folder was deleted."""


class Post:
    def __init__(self, folder: AttemptFolder, order_name: str, words: Words, ears: Ears) -> None:
        """Reserves the room of the exit record before any deed. Raises WorldError."""
        self.folder, self.words, self.ears = folder, words, ears
        self.use(order(folder, order_name))
        self.reserved = files.Reserved(folder.exit)
        self.is_heir = False  # another began to watch this attempt

    def use(self, order: dict[str, Any]) -> None:
        resume = order.get("resume")
        self.order = order
        self.stopping = Stopping(float(order["stop_limit_s"]), resume["root"] if resume else None)

    def is_called_off(self) -> bool:
        """Before "go": whether a signal or the wish speaks against it."""
        for number in self.ears.stops:
            self.stopping.ask(STOP, f"signal {number} to the runner", self.now_s())
        try:
            wish = files.read(self.folder.wish)
        except WorldError as error:
            self.words.say_once(f"the wish cannot be read: {error}")
            wish = None
        if wish is not None:
            self.stopping.read_wish(wish, Ranks(""), self.now_s())
        return self.stopping.is_on

    def wait(self, pidfds: list[int], seconds: float) -> bool:
        """For a tree that is ended without a watch."""
        self.ears.wait(pidfds, seconds)
        return False

    def now_s(self) -> float:
        return time.monotonic()

    def watch(self, subject: Subject, tree: Tree, heartbeat: str, resumed_step: int | None) -> Watch:
        output = Output(self.folder, int(self.order["log_bytes_max"]), self.words)
        resume = self.order.get("resume")
        root = str(resume["root"]) if resume else ""
        return Watch(
            self.folder,
            self.order,
            subject,
            ears=self.ears,
            words=self.words,
            tree=tree,
            signs=Signs(
                Ranks(heartbeat),
                output,
                Metrics(self.folder.metrics),
                root,
                Saves(list(self.order.get("settle") or ()), self.words),
                Obedience(None if _is_free(self.order) else resumed_step),
                awaits_pages=bool(heartbeat) and not self.is_heir,
            ),
            output=output,
            progress=Progress(self.folder, self.order.get("target_step")),
            stopping=self.stopping,
        )

    def end_never_began(self, why: str) -> None:
        self._make(ending.record(ending.never_began(why), self.stopping, None))
        ranks.remove_folder(ranks.folder_of(self.folder.path))

    def end(self, end: dict[str, Any], watch: Watch, started: dict[str, Any], **more: Any) -> None:
        """Once nothing lives: the record of the end."""
        self._make(
            ending.record(
                end,
                self.stopping,
                watch.ranks,
                resumed_from=started["resumed_from"],
                resumed_step=started["resumed_step"],
                done=self._done(watch, started),
                hints=watch.judge.hints,
                incident=watch.judge.incident,
                final=self._final(end, watch),
                room=self._room(end, watch),
                **_nonfinite(watch),
                **watch.signs.end(),
                **{"lasted_s": watch.lasted_s, **more},
            )
        )
        if started["heartbeat"]:
            ranks.remove_folder(started["heartbeat"])
        if started["cgroup"]:
            cgroup.remove(started["cgroup"])

    def _room(self, end: dict[str, Any], watch: Watch) -> dict[str, Any] | None:
        """Whether its disk was full, of one that failed by itself."""
        failed = end.get("code", 0) not in (0, RESUME_ME) or end.get("signal") in BY_ITSELF
        if not failed or self.stopping.is_on:
            return None
        output, resume = watch.signs.output, self.order.get("resume")
        root = str(resume["root"]) if resume else str(self.order["cwd"])
        return room.look(root, self.folder.run(), output.read, output.size())

    def note_end(self, end: dict[str, Any] | None) -> None:
        """For the runner that replaces us, should we die while its checkpoints are read: only we have seen this."""
        if end is None or not self.order.get("resume"):
            return
        try:
            files.replace(ended_path(self.folder), {"exit": end}, durable=False)
        except WorldError as error:
            self.words.say_once(str(error))

    def noted_end(self) -> dict[str, Any] | None:
        """What the runner before us saw of it."""
        try:
            noted = files.read(ended_path(self.folder)) or {}
        except WorldError as error:
            self.words.say_once(str(error))
            return None
        end = noted.get("exit")
        is_one = isinstance(end, dict) and end.get("type") in ("Exited", "Signalled")
        return end if is_one else None

    def _final(self, end: dict[str, Any], watch: Watch) -> dict[str, Any] | None:
        """What the newest checkpoint is worth, where the training may be complete."""
        if self.stopping.told == NOW or not final.ended_well(end, watch.ranks.last_words()):
            return None
        return final.look(self.order, self.folder, self.ears, self.words)

    def _done(self, watch: Watch, started: dict[str, Any]) -> bool | None:
        try:
            return reading.holds(
                self.order.get("done_when") or "",
                log=self.folder.output,
                cwd=self.order["cwd"],
                file_before=started.get("done_file"),
                last_step=watch.signs.last_step,
            )
        except (WorldError, ValueError) as error:
            self.words.say(f"--done-when: {error}")
            return False

    def _make(self, record: dict[str, Any]) -> None:
        """Again until it is known that a record stands. Whoever made it first is right; ours then lies beside it."""
        while True:
            try:
                made = self.reserved.make(record)
                break
            except Damaged:
                raise
            except WorldError as error:
                self.words.say_once(f"the end cannot be recorded yet: {error}")
                self._leave_if_deleted()
            try:  # somebody may have taken our reserved room away
                made = files.make_once(self.folder.exit, record)
                break
            except Damaged:
                raise
            except WorldError:
                self.ears.wait((), AGAIN_S)
        if not made.ours:
            self.words.say("an end was recorded before ours, which lies beside it as exit.late.json")
            self.reserved.late(self.folder.exit_late)
        self.words.say(f"ended: {record['exit']}")

    def _leave_if_deleted(self) -> None:
        """A folder that somebody deleted holds no door that anybody waits for. Raises WorldError."""
        try:
            os.lstat(self.folder.path)
        except FileNotFoundError as error:
            raise Gone(f"{self.folder.path} was deleted: its end is recorded nowhere") from error
        except OSError:
            return  # not to be seen now: it may be there

    def tidy(self) -> None:
        """What nobody needs any more once the end is recorded."""
        for name in os.listdir(self.folder.path):
            if name.startswith(
                (
                    ".exit.json.",
                    ".claim.",
                    ".started.json.",
                    ".told.json.",
                    ".ended.json.",
                    ".locked.json.",
                    ".progress.json.",
                )
            ):
                files.remove(os.path.join(self.folder.path, name))
        files.remove(told_path(self.folder))
        files.remove(ended_path(self.folder))


def _is_free(order: dict[str, Any]) -> bool:
    """Whether a person said --no-resume-check."""
    return ("resume-check", "no") in [tuple(pair) for pair in order.get("options") or ()]


def ended_path(folder: AttemptFolder) -> str:
    return os.path.join(folder.path, "ended.json")


def _nonfinite(watch: Watch) -> dict[str, Any]:
    """How its losses ceased to be numbers, if they did."""
    found = watch.signs.divergence.found
    return {} if found is None else {"nonfinite": found.why, "nonfinite_step": found.step}


def order(folder: AttemptFolder, name: str) -> dict[str, Any]:
    """Raises WorldError."""
    path = os.path.join(folder.path, name)
    found = files.read(path)
    if found is None:
        raise WorldError(f"{path}: there is no such order")
    missing = [
        key for key in ("attempt", "argv", "cwd", "env", "stall_limits_s", "stop_grace_s") if key not in found
    ]
    if missing:
        raise Damaged(f"{path}: it does not say {', '.join(missing)}")
    return {"stop_limit_s": 600.0, "log_bytes_max": 1 << 30, "backend": "local", **found}
