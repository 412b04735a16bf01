"""Small values to decide on: one run, one boot, a clock that tests move."""

from outlast.facts import (
    AnyEntry,
    Book,
    Cause,
    Chosen,
    Ended,
    Ending,
    Exit,
    Exited,
    Moment,
    Outcome,
    Presence,
    Process,
    Request,
    RunId,
    Sight,
    Spec,
    Waiting,
    Where,
)
from outlast.facts.entries import Accepted, AttemptVerdict

RUN = RunId("r-20260101-000000")
BOOT = "boot-1"
HERE = Where("local", host="here")
RUNNER = Process("here", BOOT, 1, 100, 5)


def at(mono_s: float = 0.0, boot: str = BOOT) -> Moment:
    return Moment(boot, mono_s, 1_000_000.0 + mono_s)


START = at(0.0)
SPEC = Spec(
    run=RUN,
    place="local",
    backend="local",
    argv=("python", "train.py"),
    cwd="/work",
    made=START,
    origin="test",
    key="key",
)
ACCEPTED = Accepted(at=START, run=RUN, why="asked for", spec_sha256="00")
BOOK = Book(phase=Waiting(START, 0.0), accepted=START, why="asked for", updated=START)


def sight(presence: Presence, mono_s: float = 0.0, **more: object) -> Sight:
    return Sight(now=at(mono_s), presence=presence, **more)  # type: ignore[arg-type]  # keywords of the test's own, checked when it runs


def request(verb: str, number: int = 7, why: str = "", **args: str) -> Request:
    return Request(number, f"id-{number}", verb, RUN, tuple(args.items()), why, "somebody", START)


def ending(exit: Exit | None = None, **more: object) -> Ending:
    return Ending(exit=exit if exit is not None else Exited(0), at=START, **more)  # type: ignore[arg-type]  # keywords of the test's own, checked when it runs


def ended(
    n: int,
    exit: Exit | None = None,
    *,
    cause: str = "exit",
    verdict: AttemptVerdict = "failed",
    charged: bool = True,
    wait_s: float = 0.0,
    progressed: bool = False,
    checkpoint_step: int | None = None,
    why: str = "it failed",
    mono_s: float = 0.0,
    **more: object,
) -> Ended:
    return Ended(
        at=at(mono_s),
        run=RUN,
        why=why,
        n=n,
        ending=ending(exit if exit is not None else Exited(1), **more),
        cause=Cause(cause),
        verdict=verdict,
        charged=charged,
        wait_s=wait_s,
        progressed=progressed,
        checkpoint_step=checkpoint_step,
    )


def chosen(n: int, mono_s: float = 0.0, order: str = "order.1.json") -> Chosen:
    return Chosen(at=at(mono_s), run=RUN, why="chosen", n=n, order=order)


def kinds(entries: tuple[AnyEntry, ...]) -> list[str]:
    return [type(entry).__name__ for entry in entries]


OUTCOMES: tuple[Outcome, ...] = ("completed", "failed", "cancelled", "no-op", "unknown")
