"""`outlast run`: a command becomes a run.

Knows how options, outlast.yaml and the caller's surroundings make a Spec. Refuses to know how it is kept alive.
"""

import contextlib
import json
import os
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from outlast.cli import backends, environment, keeping, program
from outlast.cli.parse import Parser, add_json, duration, positive
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import OK, UserError
from outlast.facts import Locking, Moment, Resume, RunId, Spec
from outlast.settings import Settings, load, lock_key, seconds_above_zero

PRIORITIES = ("high", "normal", "low")
PROOFS = ("exit", "step", "artefact", "step+artefact")
# Those of checkpoints/catalog.py, which is slow to import.
FORMATS = ("auto", "hf-trainer", "accelerate", "deepspeed", "orbax", "dcp", "lightning", "torch", "folder")
DETACH = "print the run id; leave once a supervisor has the run"
NO_WAIT = "with --detach: do not wait until a supervisor has taken the run"
# The nearest option would be one about something else.
ABSENT = {
    "--gpus": "runs are counted by --slots only, and GPUs are not handed out yet",
    "--snapshot": "the code is not copied yet: an attempt runs what stands in its folder then",
    "--policy": "what a death means is fixed so far; --max-attempts and --backoff are what can be set",
}
EVERY_SECTION = ""  # the limit of each section without one of its own


def add_run(parser: Parser) -> None:
    parser.usage = "outlast run [options] -- COMMAND..."
    how = parser.add_argument_group("how")
    how.add_argument("-d", "--detach", action="store_true", help=DETACH)
    how.add_argument(
        "--inline", action="store_true", help="supervise in this process (default in a SLURM job)"
    )
    how.add_argument("--wait", action="store_true", help="no output; wait for the end")
    how.add_argument("--no-wait", action="store_true", help=NO_WAIT)
    how.add_argument(
        "--backend",
        metavar="NAME",
        default=backends.DEFAULT,
        help=f"where attempts run (known: {', '.join(sorted(backends.TABLE))}; default: {backends.DEFAULT})",
    )
    how.add_argument("--dry-run", action="store_true", help="show what would be accepted; change nothing")
    add_json(parser)
    what = parser.add_argument_group("what")
    what.add_argument("--name", metavar="N", help="name of the run (default: the script's)")
    what.add_argument("--tag", metavar="T", action="append", default=[], help="may be given several times")
    what.add_argument("--note", metavar="TEXT", default="", help="kept with the run")
    what.add_argument("--cwd", metavar="DIR", help="where the command runs (default: here)")
    what.add_argument("--env", metavar="K[=V]", action="append", default=[], help="add to the environment")
    what.add_argument("--tty", action="store_true", help="give the command a terminal (pseudo-terminal)")
    when = parser.add_argument_group("when")
    when.add_argument(
        "--after", metavar="RUN", action="append", default=[], help="only once RUN has completed"
    )
    when.add_argument("--priority", choices=PRIORITIES, default="normal", help="what starts first")
    when.add_argument(
        "--slots", metavar="N", type=positive, default=1, help="slots it takes (outlast.yaml slots.count)"
    )
    _add_survival(parser)
    parser.absent = ABSENT
    parser.examples(
        "outlast run -- python train.py",
        "outlast run -d --name big --max-attempts 5 -- torchrun --nproc-per-node 8 train.py",
        "outlast run --checkpoints out --resume-args '--resume {checkpoint}' --target-step 10000 -- python train.py",
        "outlast run --stall-limit 10m --stall-limit eval=1h --done-when 'log:training finished' -- ./train.sh",
    )


def _add_survival(parser: Parser) -> None:
    resume = parser.add_argument_group("resuming")
    resume.add_argument(
        "--checkpoints", metavar="DIR[,FORMAT]", help="where the training saves; resumed from there"
    )
    resume.add_argument(
        "--resume-args", metavar="ARGS", help="appended if there is a checkpoint, e.g. '--from {checkpoint}'"
    )
    resume.add_argument(
        "--no-resume-check",
        action="store_true",
        help="let it go on although it began anew: for one that counts its steps from its own beginning",
    )
    resume.add_argument(
        "--take-over",
        action="store_true",
        help="go on from checkpoints there that another run made: they are this run's from now on",
    )
    resume.add_argument(
        "--lock",
        metavar="KEY=PATH|VALUE",
        action="append",
        default=[],
        help="what may not change across restarts, e.g. base_model=models/base (docs/lock.md)",
    )
    resume.add_argument(
        "--max-attempts", metavar="N", type=positive, help="give up after N attempts without progress"
    )
    resume.add_argument(
        "--backoff", metavar="SECONDS", type=duration, help="first wait before a restart (0: at once)"
    )
    end = parser.add_argument_group("ending")
    end.add_argument(
        "--timeout",
        metavar="DURATION",
        type=duration,
        help="the run has failed once its attempts together took this long (waits between them do not count)",
    )
    end.add_argument(
        "--target-step", metavar="N", type=positive, help="completed only if this step was reached"
    )
    end.add_argument(
        "--done-when", metavar="log:REGEX|file:PATH|step:N", default="", help="completed only if this holds"
    )
    end.add_argument("--require-proof", choices=PROOFS, default="exit", help="what completed must rest on")
    end.add_argument(
        "--stall-limit",
        metavar="[SECTION=]DURATION",
        action="append",
        default=[],
        help="no progress for this is a hang",
    )
    end.add_argument(
        "--no-inject",
        action="store_true",
        help="add nothing to PYTHONPATH: stacks of a hang then need the SDK or py-spy",
    )
    end.add_argument(
        "--stop-grace", metavar="DURATION", type=duration, help="between TERM and KILL (default 30s)"
    )


def run(arguments: Namespace) -> int:
    if not arguments.command:
        raise UserError("run: the command is missing: outlast run [options] -- COMMAND...")
    inline = wants_inline(arguments)
    workspace = _workspace(arguments)
    settings = load(workspace.config)
    spec = specified(arguments, workspace, settings, tuple(arguments.command), inline=inline)
    kept = environment.captured(os.environ, arguments.env, inline=inline)
    return begin(arguments, workspace, spec, kept)


def begin(arguments: Namespace, workspace: Workspace, spec: Spec, kept: Mapping[str, str]) -> int:
    """Accept `spec` and do with it what the options say: show, leave, wait, watch, or supervise."""
    from outlast.cli import survives

    if arguments.json and not (arguments.detach or arguments.wait or arguments.dry_run):
        raise UserError("run: --json goes with --detach, --wait or --dry-run")
    if arguments.no_wait and (arguments.wait or not arguments.detach):
        raise UserError("run: --no-wait goes with --detach alone: only that returns before the run has ended")
    backends.check(spec.backend)
    for path in (workspace.root, spec.cwd):
        program.check_is_text(path)
    by_itself = program.speaks_to_us(spec.argv, spec.cwd)
    if arguments.dry_run:
        return _show_only(
            workspace, spec, kept, survives.line(workspace, spec, by_itself=by_itself), arguments.json
        )
    from outlast.cli import accept

    accepted = accept.accept(workspace, spec, kept)
    _talk(survives.line(workspace, spec, by_itself=by_itself))
    if accepted.inline:
        from outlast.cli.inline import serve

        return serve(workspace, accepted)
    if not arguments.detach:
        _talk(f"run {accepted.run}")
        return _wait(workspace, accepted, arguments)
    with contextlib.suppress(OSError):  # whoever reads the id may be gone: the run is made known all the same
        _print_id(accepted, workspace, arguments.json)
    if arguments.wait:
        return _wait(workspace, accepted, arguments)
    accept.announce(workspace, accepted, wait=not arguments.no_wait)
    return OK


def _wait(workspace: Workspace, spec: Spec, arguments: Namespace) -> int:
    """In the foreground until it ends; Ctrl-C stops it."""
    from outlast.cli import accept, quick, view

    quiet = bool(arguments.wait)
    code = view.watch(workspace, spec.run, lambda: accept.announce(workspace, spec), quiet=quiet)
    if arguments.json and not arguments.detach:
        with contextlib.suppress(BrokenPipeError):  # the exit code is for somebody else
            print(json.dumps(quick.shown(quick.snapshot_of(workspace, spec.run)), indent=1))
    return code


def wants_inline(arguments: Namespace) -> bool:
    """Asked for, or the default inside a SLURM job and as the first process of a container."""
    if arguments.inline and (arguments.detach or arguments.wait):
        raise UserError("run: --inline supervises in this process: it does not go with --detach or --wait")
    inside = bool(os.environ.get("SLURM_JOB_ID")) or os.getpid() == 1
    return bool(arguments.inline or (inside and not (arguments.detach or arguments.wait)))


def _workspace(arguments: Namespace) -> Workspace:
    if not arguments.dry_run:
        return workspaces.make(arguments.workspace)
    workspace = workspaces.find(arguments.workspace) or Workspace(os.getcwd())
    workspaces.check(workspace)
    return workspace


def specified(
    arguments: Namespace, workspace: Workspace, settings: Settings, command: tuple[str, ...], *, inline: bool
) -> Spec:
    """The Spec as options and outlast.yaml say; `run`, `made` and `key` come with acceptance. Raises UserError."""
    cwd = _cwd(arguments.cwd)
    if arguments.slots > settings.slots_count and not inline:
        raise UserError(
            f"run: --slots {arguments.slots}: this workspace has {settings.slots_count} (outlast.yaml slots.count)"
        )
    argv = program.resolved(command, cwd, environment.search_path())
    name = program.sanitized(arguments.name) if arguments.name else program.name_of(command)
    return Spec(
        run=RunId(""),
        place=workspaces.place_name(workspace),
        backend=arguments.backend,
        argv=argv,
        cwd=cwd,
        made=Moment("", 0.0, 0.0),
        origin="cli",
        key="",
        name=name,
        resume=_resume(arguments, cwd),
        target_step=arguments.target_step,
        priority=arguments.priority,
        slots=arguments.slots,
        after=tuple(RunId(run) for run in _after(arguments, workspace)),
        attempts_max=arguments.max_attempts or settings.attempts,
        backoff_s=settings.backoff_s if arguments.backoff is None else arguments.backoff,
        tags=tuple(dict.fromkeys(arguments.tag)),
        note=arguments.note,
        timeout_s=arguments.timeout,
        done_when=_done_when(arguments.done_when),
        require_proof=arguments.require_proof,
        stall_limits_s=_stalls(arguments.stall_limit, settings),
        stop_grace_s=settings.stop_grace_s if arguments.stop_grace is None else arguments.stop_grace,
        stop_limit_s=settings.stop_limit_s,
        log_bytes_max=settings.log_bytes_max,
        tty=arguments.tty,
        inline=inline,
        retention=keeping.retention(settings),
        pins=keeping.pins(settings),
        locking=_locking(arguments.lock, settings, cwd),
        options=_options(arguments),
    )


def _options(arguments: Namespace) -> tuple[tuple[str, str], ...]:
    refused = (("inject", arguments.no_inject), ("resume-check", arguments.no_resume_check))
    return (("umask", f"{_umask():04o}"), *((name, "no") for name, is_refused in refused if is_refused))


def _cwd(given: str | None) -> str:
    try:
        here = os.getcwd()
    except OSError:
        raise UserError("the current folder is gone: cd somewhere else") from None
    cwd = os.path.normpath(os.path.join(here, os.path.expanduser(given))) if given else here
    if not os.path.isdir(cwd):
        raise UserError(f"run: --cwd {given}: there is no such folder")
    return cwd


def _resume(arguments: Namespace, cwd: str) -> Resume | None:
    if arguments.checkpoints is None:
        for flag, given in (("--resume-args", arguments.resume_args), ("--take-over", arguments.take_over)):
            if given:
                raise UserError(f"run: {flag} needs --checkpoints DIR, where the checkpoints are")
        if "artefact" in arguments.require_proof:
            raise UserError(
                f"run: --require-proof {arguments.require_proof} needs --checkpoints DIR, where the artefact is"
            )
        return None
    root, comma, format_ = arguments.checkpoints.rpartition(",")
    if not comma:
        root, format_ = arguments.checkpoints, "auto"
    if format_ not in FORMATS:
        raise UserError(
            f"run: --checkpoints {arguments.checkpoints}: no format {format_!r}; known are {', '.join(FORMATS)}"
        )
    if not root:
        raise UserError("run: --checkpoints: the folder is missing: write DIR or DIR,FORMAT")
    if not root.startswith("{"):
        root = os.path.normpath(os.path.join(cwd, os.path.expanduser(root)))
    return Resume(root, format_, _words(arguments.resume_args), take_over=arguments.take_over)


def _locking(given: list[str], settings: Settings, cwd: str) -> Locking:
    pairs: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.replace("-", "_")
        try:
            if not equals or not value:
                raise ValueError("write KEY=PATH or KEY=VALUE, e.g. base_model=models/base")
            if key in pairs:
                raise ValueError(f"{key} was given before: keep one")
            pairs[lock_key(key)] = value
        except ValueError as error:
            raise UserError(f"run: --lock {text!r}: {error}") from None
        path = os.path.join(cwd, os.path.expanduser(value))
        if value.startswith(("/", "./", "../", "~")) and not os.path.exists(path):
            raise UserError(f"run: --lock {text}: {os.path.normpath(path)} is not there")
    return Locking(
        given=tuple(pairs.items()),
        must_match=settings.lock_must_match,
        warn=settings.lock_warn,
        free=settings.lock_free,
        code="warn" if settings.lock_code == "warn" else "hold",
    )


def _words(text: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise UserError(f"run: --resume-args {text!r}: {error}; close the quotes") from None


def _after(arguments: Namespace, workspace: Workspace) -> list[str]:
    from outlast.cli import quick

    return [quick.resolve(workspace, wanted) for wanted in arguments.after]


def _done_when(text: str) -> str:
    kind, _, value = text.partition(":")
    if not text:
        return ""
    if kind not in ("log", "file", "step") or not value:
        raise UserError(f"run: --done-when {text!r}: write log:REGEX, file:PATH or step:N")
    if kind == "step" and not value.isdecimal():
        raise UserError(f"run: --done-when {text!r}: the step must be a whole number")
    if kind == "log":
        try:
            re.compile(value.encode())
        except (re.error, UnicodeEncodeError) as error:
            raise UserError(f"run: --done-when {text!r}: this is no regular expression: {error}") from None
    return text


def _stalls(given: list[str], settings: Settings) -> tuple[tuple[str, float], ...]:
    limits = dict(settings.stall_limits_s)
    for text in given:
        section, equals, value = text.rpartition("=")
        if equals and not section:
            raise UserError(f"run: --stall-limit {text!r}: write DURATION or SECTION=DURATION")
        try:
            limits[section or EVERY_SECTION] = seconds_above_zero(value)
        except ValueError as error:
            raise UserError(f"run: --stall-limit {text!r}: {error}") from None
    return tuple(limits.items())


def _umask() -> int:
    """The caller's, which decides who may read what the training saves."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _print_id(spec: Spec, workspace: Workspace, as_json: bool) -> None:
    if as_json:
        folder = workspace.run(spec.run)
        print(
            json.dumps(
                {"id": spec.run, "place": spec.place, "workspace": workspace.root, "run_dir": folder.path}
            )
        )
    else:
        print(spec.run)
    sys.stdout.flush()


def _show_only(
    workspace: Workspace, spec: Spec, kept: Mapping[str, str], survives: str, as_json: bool
) -> int:
    from outlast.facts.codec import to_record

    hidden = ("run", "made", "key", "type")
    record: dict[str, Any] = {"run": f"{spec.name}-YYYYMMDD-HHMMSS", "workspace": workspace.root}
    record |= {key: value for key, value in to_record(spec).items() if key not in hidden}
    if as_json:
        print(json.dumps(record, indent=1))
    else:
        for key, value in record.items():
            if value not in (None, "", [], False):
                print(f"{key:<15} {shlex.join(value) if key == 'argv' else value}")
        print(f"{'environment':<15} {len(kept)} variables of yours")
    _talk(survives)
    _talk("dry run: nothing was started")
    return OK


def _talk(line: str) -> None:
    print(f"outlast: {line}", file=sys.stderr, flush=True)
