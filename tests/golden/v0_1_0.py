"""What the records of version 0.1.0 say. They lie in the folder v0.1.0 beside this file, and no later version may
change either: it has to load them.

They were written by that version itself (`python -m tests.golden.v0_1_0`). A new version gets a module and a folder
of its own, with every kind of entry that it knows.
"""

import sys
from pathlib import Path
from typing import Any

from outlast.disk import attempt, files, journal
from outlast.disk.layout import Workspace
from outlast.facts import (
    Accepted,
    AnyEntry,
    Asked,
    AttemptId,
    Batch,
    Candidate,
    Cause,
    Chosen,
    Closing,
    Declined,
    Ended,
    Ending,
    Exited,
    Finished,
    Held,
    Line,
    Lost,
    Moment,
    NeverBegan,
    Order,
    Process,
    Released,
    Removed,
    Reopened,
    Repeated,
    Request,
    Resume,
    RunId,
    Signalled,
    Spec,
    Torn,
    Verified,
    Where,
    Whole,
    Word,
)
from outlast.facts.codec import to_line, to_record
from outlast.supervise.books import entries_of

FOLDER = Path(__file__).parent / "v0.1.0"
BOOT = "6f1c9a52-0f7e-4a0b-9d5e-1b2c3d4e5f60"
DEMO, OLD, GONE = (RunId(f"{name}-20260102-030405") for name in ("demo", "old", "gone"))
RUNNER = Process("trainer-1", BOOT, 4026531836, 4711, 990_001)
WHERE = Where("local", host="trainer-1")
RESUME = Resume("/home/ada/ckpt", args=("--resume", "{checkpoint}"))


def at(seconds: float) -> Moment:
    return Moment(BOOT, 1000.0 + seconds, 1_767_322_800.0 + seconds)


def ending(seconds: float, exit_: Any, **more: Any) -> Ending:
    return Ending(exit=exit_, at=at(seconds), by=RUNNER, **more)


def ended(seconds: float, n: int, end: Ending, cause: Cause, verdict: Any, **more: Any) -> Ended:
    more = {"charged": True, "wait_s": 10.0, **more}
    return Ended(at(seconds), DEMO, "the training ended", n, end, cause, verdict, **more)


def first_term() -> list[AnyEntry]:
    killed = ending(60, Signalled(9), last_step=400, loss=2.25, hints=("read the log",), oom_kills=1)
    oom = Cause(
        "oom", "sure", "yes", (Line("oom-1", "output.log", 812, "Killed", 0),), "the kernel killed it"
    )
    return [
        Accepted(at(0), DEMO, "asked for", "ab" * 32),
        Asked(at(0), DEMO, "asked for", 1, "accept", "uid 1000 pid 4700 on trainer-1"),
        Declined(at(1), None, "it is not a request", 2),
        Chosen(at(1), DEMO, "a slot is free", 1, "order.1.json"),
        Repeated(at(5), DEMO, "its runner did not come", 1, 2),
        ended(60, 1, killed, oom, "failed", checkpoint_step=400, progressed=True),
        Held(at(61), None, "the disk is full", "disk"),
        Released(at(90), None, "there is room again", "disk"),
        Verified(
            at(91), DEMO, "found", Candidate("/home/ada/ckpt/step-400", "folder", 400, 77, 1, 5), Whole(0)
        ),
        Verified(
            at(91), DEMO, "found", Candidate("/home/ada/ckpt/step-500", "folder", 500), Torn(("it is empty",))
        ),
    ]


def second_term() -> list[AnyEntry]:
    lost = ending(160, Lost("its runner was gone when it ended"), word=Word("REBOOT", "started anew"))
    never = ending(170, NeverBegan("no interpreter"), told="stop", told_by="request 3")
    return [
        Chosen(at(100), DEMO, "found begun", 2, ""),
        ended(160, 2, lost, Cause("lost", "unknown", "yes"), "lost", checkpoint_step=None),
        Chosen(at(165), DEMO, "again", 3, "order.2.json"),
        ended(170, 3, never, Cause("spawn-failed", restart="once"), "never-began", charged=False, wait_s=0.0),
        Accepted(at(171), OLD, "found accepted on disk", "cd" * 32),
        Closing(at(172), OLD, "called off", 1, "cancelled", Cause("cancelled", restart="never"), None),
        Finished(at(173), OLD, "called off", "cancelled", Cause("cancelled", restart="never"), None),
        Accepted(at(174), GONE, "asked for", "ef" * 32),
        Removed(at(175), GONE, "deleted on request", 4, "rm"),
    ]


def third_term() -> list[AnyEntry]:
    good = ending(260, Exited(0), first_step=401, last_step=1000, total=1000, done=True, cpu_s=55.5)
    return [
        Reopened(at(200), OLD, "retry was asked for", 2, 3),
        Asked(at(201), DEMO, "", 5, "pause", "uid 0 pid 1 on trainer-1", (("now", "1"),)),
        Asked(at(202), DEMO, "", 6, "resume", "uid 0 pid 1 on trainer-1"),
        Chosen(at(203), DEMO, "its wait is over", 4, "order.3.json"),
        ended(260, 4, good, Cause("none"), "finished", charged=False, wait_s=0.0, checkpoint_step=1000),
        Closing(at(261), DEMO, "it did all its steps", 5, "completed", None, "step"),
        Finished(at(262), DEMO, "it did all its steps", "completed", None, "step"),
    ]


def order() -> Order:
    return Order(
        attempt=AttemptId(DEMO, 1),
        term=3,
        argv=("/usr/bin/python3", "train.py", "--out", "{run_dir}/out"),
        cwd="/home/ada",
        env=(("CUDA_VISIBLE_DEVICES", "0"),),
        resume=RESUME,
        target_step=1000,
        stall_limits_s=(("train", 600.0), ("eval", 1800.0)),
        stop_grace_s=30.0,
        log_bytes_max=1 << 30,
        timeout_s=3600.0,
        ready=("/usr/bin/python3", "-m", "ready"),
        batch=Batch("b1", 3),
    )


def spec() -> Spec:
    return Spec(
        run=DEMO,
        place="local",
        backend="local",
        argv=order().argv,
        cwd="/home/ada",
        made=at(0),
        origin="command line",
        key="uid 1000 1767322800",
        name="demo",
        resume=RESUME,
        target_step=1000,
        tags=("golden",),
        after=(OLD,),
        require_proof="step",
    )


def write(folder: Path) -> None:
    workspace = Workspace(str(folder))
    place, run = workspace.place("local"), workspace.run(DEMO)
    by = {key: value for key, value in to_record(RUNNER).items() if key != "type"}
    moment = {key: value for key, value in to_record(at(0)).items() if key != "type"}
    for entries, carries in ((first_term(), False), (second_term(), False), (third_term(), True)):
        books = entries_of(journal.read(place.journal)).record() if carries else None
        term, _ = journal.take_over(place.journal, by, moment, lambda _, books=books: books)  # type: ignore[misc]  # mypy infers no lambda with a default
        term.append([to_line(entry) for entry in entries])
        term.close()
    request = Request(7, "0a1b2c3d4e5f6071", "retry", DEMO, (("now", "1"),), "again", "uid 1000", at(300))
    files.make_directory(place.requests)
    files.make_once(place.request(7), {"schema": 1, **to_record(request)})
    first, second = run.attempt(1), run.attempt(2)
    files.make_directory(first.path)
    files.make_once(run.record, {"schema": 1, **to_record(spec())})
    files.make_once(run.env, {"schema": 1, "env": {"PATH": "/usr/bin", "NAME": "\udcff"}})
    files.make_once(first.order(3), {"schema": 1, **to_record(order())})
    claim = {"schema": 1, "kind": "begun", "by": by, "where": to_record(WHERE), "order": "order.3.json"}
    files.make_once(first.claim, {**claim, "at": moment})
    files.make_once(
        first.started, {"schema": 1, "child": by, "session": 4712, "cgroup": None, "heartbeat": ""}
    )
    files.replace(first.wish, {"schema": 1, "term": 3, "request": 5, "want": "pause", "at": moment})
    attempt.record_end(first, to_record(ending(60, Signalled(9, core=True), last_words=("running",))))
    attempt.shut(second, final=True, why="completed", term=3)


if __name__ == "__main__":
    if FOLDER.exists():
        sys.exit(f"{FOLDER} stands already, and is never changed")
    write(FOLDER)
    (FOLDER / ".outlast").rename(FOLDER / "outlast")  # hidden folders are easily left out of a copy
