"""`outlast stop|pause|resume|retry|priority`: what a person asks for a run.

Knows each verb's options and when it has happened. Refuses to do it: a supervisor does.
"""

from argparse import Namespace
from collections.abc import Callable

from outlast.cli import quick, words
from outlast.cli.ask import EFFECT_S, Wish, ensure, fulfil, note, phase_of
from outlast.cli.parse import Parser
from outlast.cli.parse import add_run as add_run_argument
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import OK, NotFound, UserError

MARGIN_S = 90.0
LIVE = ("queued", "launching", "running", "waiting", "paused")


def add_stop(parser: Parser) -> None:
    _add_common(parser, "--all: every run that has not ended")
    parser.add_argument("--now", action="store_true", help="do not wait for a save")
    parser.examples(
        "outlast stop @last", "outlast stop big --reason 'wrong data'", "outlast stop --all --now"
    )


def stop(arguments: Namespace) -> int:
    args = [("now", "1")] if arguments.now else []
    return _ask(arguments, "stop", LIVE, args, lambda phase: phase == "ended", patient=True)


def add_pause(parser: Parser) -> None:
    _add_common(parser, "--all: every run that has not ended")
    parser.add_argument("--now", action="store_true", help="do not wait for a save")
    parser.examples("outlast pause big --reason 'the GPU is needed'", "outlast pause --all")


def pause(arguments: Namespace) -> int:
    args = [("now", "1")] if arguments.now else []
    live = tuple(phase for phase in LIVE if phase != "paused")
    return _ask(arguments, "pause", live, args, lambda phase: phase in ("paused", "ended"), patient=True)


def add_resume(parser: Parser) -> None:
    _add_common(parser, "--all: every paused run")
    parser.examples("outlast resume big", "outlast resume --all")


def resume(arguments: Namespace) -> int:
    """Also lets a run go on that a `down`, or the end of an inline supervisor, left queued."""
    workspace = workspaces.existing(arguments.workspace)
    left = (
        [] if arguments.all else [run for run in chosen(workspace, arguments, ()) if _is_left(workspace, run)]
    )
    for run in left:
        ensure(workspace, quick.place_of(workspace, run), goes_on=True)
        note(f"{run}: goes on")
    arguments.runs = [run for run in arguments.runs if quick.resolve(workspace, run) not in left]
    if left and not arguments.runs:
        return OK
    return _ask(arguments, "resume", ("paused",), [], lambda phase: phase not in ("paused", ""), goes_on=True)


def _is_left(workspace: Workspace, run: str) -> bool:
    """Neither paused nor ended, nor waiting for a person's `retry`, and nobody supervises it."""
    place = quick.place_of(workspace, run)
    seen = quick.record(workspace.run(run).snapshot) or {}
    may_go_on = seen.get("phase") in ("queued", "waiting") and not words.waits_for_a_person(seen)
    return may_go_on and quick.is_held(place.lock) is False


def add_retry(parser: Parser) -> None:
    _add_common(parser, "--all: every run that ended and did not complete")
    parser.examples("outlast retry big", "outlast retry @last --reason 'the driver was mended'")


def retry(arguments: Namespace) -> int:
    return _ask(arguments, "retry", ("ended",), [], lambda phase: phase not in ("ended", ""), goes_on=True)


def add_priority(parser: Parser) -> None:
    _add_common(parser, "--all: every run that has not ended")
    parser.add_argument(
        "--to",
        dest="priority",
        choices=("high", "normal", "low"),
        help="the new priority; may also be the last word",
    )
    parser.examples("outlast priority big high", "outlast priority --all low")


def priority(arguments: Namespace) -> int:
    """`priority RUN... high`: the last word is the priority unless --to names it."""
    if arguments.priority is None:
        if not arguments.runs or arguments.runs[-1] not in ("high", "normal", "low"):
            raise UserError("priority: which one? outlast priority RUN high|normal|low")
        arguments.priority = arguments.runs.pop()
    return _ask(arguments, "priority", LIVE, [("priority", arguments.priority)], None)


def _add_common(parser: Parser, every: str) -> None:
    add_run_argument(parser, "*")
    parser.add_argument("--all", action="store_true", help=every.removeprefix("--all: "))
    parser.add_argument("--reason", metavar="TEXT", default="", help="kept in the journal and shown")
    parser.add_argument(
        "--no-wait", action="store_true", help="return once it is journaled, before it has happened"
    )


def _ask(
    arguments: Namespace,
    verb: str,
    phases: tuple[str, ...],
    args: list[tuple[str, str]],
    reached: Callable[[str], bool] | None,
    *,
    patient: bool = False,
    goes_on: bool = False,
) -> int:
    """`phases`: whom --all means. `patient`: a save may have to be waited for."""
    workspace = workspaces.existing(arguments.workspace)
    runs = chosen(workspace, arguments, phases)
    why = arguments.reason or f"outlast {verb}"
    happened = None if reached is None else _sees(reached)
    wishes = [
        Wish(verb, run, args, why, happened, _patience(workspace, run) if patient else EFFECT_S, goes_on)
        for run in runs
    ]
    if patient and not getattr(arguments, "now", False):
        for run in runs:
            _say_what_is_lost(workspace, run)
    fulfil(workspace, wishes, wait=not arguments.no_wait)
    for run in runs:
        note(f"{run}: {_done(verb, arguments.no_wait)}")
    return OK


def chosen(workspace: Workspace, arguments: Namespace, phases: tuple[str, ...]) -> list[str]:
    """The ids that RUN... or --all (those in `phases`) mean. Raises NotFound, UserError."""
    verb = arguments.verb
    if arguments.all:
        if arguments.runs:
            raise UserError(f"{verb}: name runs or give --all, not both")
        every = [row for row in quick.rows(workspace) if row.get("phase") in phases]
        runs = [row["id"] for row in every if row.get("outcome") != "completed" or verb != "retry"]
        if not runs:
            raise NotFound(f"{verb} --all: no run is {', '.join(phases)}")
        return runs
    if not arguments.runs:
        raise UserError(f"{verb}: which run? name one, or give --all (outlast ls)")
    return list(dict.fromkeys(quick.resolve(workspace, wanted) for wanted in arguments.runs))


def _sees(reached: Callable[[str], bool]) -> Callable[[Workspace, str], bool]:
    return lambda workspace, run: reached(phase_of(workspace, run))


def _patience(workspace: Workspace, run: str) -> float:
    spec = quick.record(workspace.run(run).record) or {}
    return float(spec.get("stop_limit_s", 600.0)) + float(spec.get("stop_grace_s", 30.0)) + MARGIN_S


def _say_what_is_lost(workspace: Workspace, run: str) -> None:
    """A training without the SDK cannot be asked to save first."""
    snapshot = quick.snapshot_of(workspace, run)
    progress = snapshot.get("progress") or {}
    step, saved = (
        progress.get("step"),
        [c.get("step") for c in snapshot.get("checkpoints") or [] if c.get("step")],
    )
    if snapshot.get("phase") == "running" and progress.get("source") != "sdk":
        since = (
            f"{step - max(saved)} steps since its last checkpoint"
            if step and saved
            else "what it has not saved"
        )
        note(f"{run}: it does not use the SDK, so it is not asked to save: {since} will be lost")


def _done(verb: str, no_wait: bool) -> str:
    past = {
        "stop": "stopped",
        "pause": "paused",
        "resume": "goes on",
        "retry": "goes on",
        "priority": "changed",
    }
    return f"{verb} is journaled" if no_wait else past[verb]
