"""Who holds a place, and how a supervisor is started for it in the background.

Knows the place's lock, `supervisor.json` and the command that starts a supervisor. Refuses to know what one does.
"""

import importlib.util
import os
import subprocess
import sys
import time
from typing import Any

from outlast.disk import files, identity
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, TRY_AGAIN, Damaged, WorldError

BOOT = (
    "import sys; sys.path += [p for p in sys.argv.pop(1).split(':') if p not in sys.path]; "
    "from outlast.cli.background import main; sys.exit(main())"
)
GUARD_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.cli.guard import main; sys.exit(main())"
)
STARTED_WITHIN_S = 10.0
_started: "dict[str, subprocess.Popen[bytes]]" = {}  # by place: its guard starts it again while it lives


def holder(place: Place) -> dict[str, Any] | None:
    """What `supervisor.json` says of the supervisor that holds the place now, {} if it says nothing yet, None if
    nobody holds it."""
    if not files.is_locked(place.lock):
        return None
    try:
        record = files.read(place.supervisor)
    except Damaged:
        return {}  # it only informs
    if record is None or "identity" not in record or identity.alive(record["identity"]) is False:
        return {}  # what stands there is its predecessor's
    return record


def background(*words: str) -> tuple[str, ...]:
    """The command of a program of ours in the background (`supervise ROOT PLACE`, `ready ATTEMPT_DIR ORDER`)."""
    return (sys.executable, "-I", "-c", BOOT, ":".join(_package_folders()), *words)


def command(workspace: Workspace, place: str) -> tuple[str, ...]:
    """Starts a supervisor under a guard: a small parent, standard library only, that starts it again when it dies."""
    unguarded = unguarded_command(workspace, place)
    return (sys.executable, "-I", "-S", "-c", GUARD_BOOT, _package_folders()[0], *unguarded)


def unguarded_command(workspace: Workspace, place: str) -> tuple[str, ...]:
    return background("supervise", workspace.root, place)


def ensure(workspace: Workspace, place_name: str, *, up: bool = False) -> None:
    """Start a supervisor if nobody holds the place, and wait until somebody does. `up`: it also takes back a
    `down`, so that runs that were left queued go on. Raises WorldError if none could be started."""
    place = workspace.place(place_name)
    if holder(place) is not None:
        return
    ours = _started.get(place.path)
    if ours is not None and ours.poll() is None:
        return  # a second guard would outlive what is wrong with the first one's child
    files.make_directory(place.path)
    words = [*command(workspace, place_name), *(["--up"] if up else [])]
    for prefix in _ways():
        process = _started[place.path] = spawn([*prefix, *words], place)
        if _held_within(place, process, STARTED_WITHIN_S):
            return
    raise WorldError(f"no supervisor could be started for place {place_name}: read {place.log}")


def spawn(words: list[str], place: Place) -> "subprocess.Popen[bytes]":
    """Detached: own session, null stdin, no inherited descriptors, none of our OUTLAST_* and PYTHON* variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "PYTHON"))}
    log = files.open_append(place.log)
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean,
            start_new_session=True,
        )
    except OSError as error:
        raise WorldError(f"cannot start {words[0]}: {error.strerror}") from error
    finally:
        os.close(log)


def _ways() -> list[list[str]]:
    """In a scope of its own under the user's systemd, where there is one: a terminal's end then leaves it alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.exists(os.path.join(runtime, "systemd", "private")):
        return [["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"], []]
    return [[]]


def _held_within(place: Place, process: "subprocess.Popen[bytes]", within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if files.is_locked(place.lock):
            return True
        code = process.poll()
        if code == OK:  # it had nothing to do and left
            return True
        if code is not None:  # it found another holder, or failed
            return code == TRY_AGAIN and bool(files.is_locked(place.lock))
        time.sleep(0.01)
    return False


def _package_folders() -> list[str]:
    """Where our packages lie, for an interpreter that is started isolated."""
    folders: list[str] = []
    for name in ("outlast", "msgspec", "yaml", "inotify_simple"):
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise WorldError(f"the package {name} is not installed beside outlast: install outlast again")
        folder = os.path.dirname(found.origin)
        folder = folder if found.submodule_search_locations is None else os.path.dirname(folder)
        if folder not in folders:
            folders.append(folder)
    return folders
