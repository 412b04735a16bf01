"""Acceptance of a run: its folder made exclusively, the environment, then run.json, which is the acceptance itself.

Whatever stands before run.json may be lost without harm; once it stands, some supervisor takes the run, even if this
process dies at the next instruction.

Refuses to know options: it is given a Spec.
"""

import time
from collections.abc import Mapping

import msgspec

from outlast.cli import environment
from outlast.disk import files, requests
from outlast.disk import workspace as workspaces
from outlast.disk.clock import moment
from outlast.disk.layout import RunFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import Moment, RunId, Spec
from outlast.facts.codec import from_record, to_record

SCHEMA = 1
INLINE = "inline-"


def run_id_stem(name: str) -> str:
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"


def accept(workspace: Workspace, wanted: Spec, environment_: Mapping[str, str]) -> Spec:
    """Make the run durable; its Spec with id, place and moment. Raises RefusedError, WorldError: nothing was started,
    and at worst an empty folder stays."""
    run = RunId(workspaces.claim_run(workspace, run_id_stem(wanted.name)))
    spec = msgspec.structs.replace(
        wanted,
        run=run,
        place=f"{INLINE}{run}" if wanted.inline else wanted.place,
        made=from_record(moment(), Moment),
        key=f"{wanted.origin}:{run}",
    )
    folder = workspace.run(run)
    environment.write(folder.env, environment_)
    files.make_once(folder.record, {"schema": SCHEMA, **to_record(spec)})
    _remember_last(workspace, folder)
    return spec


def announce(workspace: Workspace, spec: Spec, *, wait: bool = True) -> None:
    """Ask the place's supervisor to take the run, and until it is journaled that one has, make sure that there is one:
    whoever held the place when we asked may just have been leaving. Raises WorldError and TryAgain (the run is
    accepted all the same, and the next supervisor takes it), RefusedError (declined)."""
    from outlast.cli import ask
    from outlast.supervise import start

    place = workspace.place(spec.place)
    try:
        number = requests.post(place, "accept", spec.run, [], "outlast run")
        start.ensure(workspace, spec.place, up=True)  # who starts a run takes back an earlier `down`
        if wait:
            ask.await_answer(workspace, place, number, f"run {spec.run}", goes_on=True)
    except WorldError as error:
        raise WorldError(f"{spec.run} is accepted, but nobody serves it yet: {error}") from error


def _remember_last(workspace: Workspace, folder: RunFolder) -> None:
    try:
        files.replace_bytes(workspace.last, folder.id.encode() + b"\n")
    except WorldError:
        return  # only @last's shortcut; the newest id answers for it
