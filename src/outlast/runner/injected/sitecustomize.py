"""Run by every Python of a training at its start: ready to show its stacks, and open to the runner's py-spy.

Then everything is as if this file were not there: its folder leaves sys.path, and the sitecustomize that would have
been run is imported in its stead, or there is none. PYTHONPATH stays as it is, for the Pythons that this one starts.

Knows the import system's treatment of a module that replaces itself while it is imported. Refuses to raise, to import
outlast, and to be imported under any other name. Any Python since 2.7 must be able to parse it: no annotations.
"""

# ruff: noqa: BLE001, S110, UP024 - whatever goes wrong here is none of the training's business; old names, old Pythons
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401 - in comments

NAME = "sitecustomize"
RUNNER = "OUTLAST_RUNNER_PID"
YAMA = "/proc/sys/kernel/yama/ptrace_scope"
ONLY_ANCESTORS = "1"  # and whom the process names
held = []  # type: list[object] # Python 2 empties a module that nobody holds any more
PR_SET_PTRACER, ANYBODY = 0x59616D61, -1  # linux/prctl.h


def prepare(folder):  # type: (str) -> None
    """Arm the stack signal, and let the runner trace this process and those that it forks."""
    stacks = _load(os.path.join(os.path.dirname(os.path.dirname(folder)), "disk", "stack_page.py"))
    stacks["arm"]()
    runner = os.environ.get(RUNNER, "")
    if runner and _scope() == ONLY_ANCESTORS:

        def allow():  # type: () -> None
            try:
                stacks["call"]("prctl", PR_SET_PTRACER, int(runner) if runner.isdigit() else ANYBODY)
            except Exception:
                return

        allow()
        os.register_at_fork(after_in_child=allow)  # a child does not inherit the permission


def step_aside(folder):  # type: (str) -> None
    """Import the next sitecustomize in the place of this one. Raises what that raises."""
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != folder]
    sys.path_importer_cache.pop(folder, None)
    held.append(sys.modules.pop(NAME))
    __import__(NAME)  # none: ImportError of that name, which `site` takes for what it is


def _load(path):  # type: (str) -> dict[str, Any]
    """A module by its path, through its compiled form, without the package around it."""
    name = "_outlast_stack_page"
    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader(name, path)
    found = {"__name__": name, "__file__": path}  # type: dict[str, Any]
    exec(loader.get_code(name), found)
    return found


def _scope():  # type: () -> str
    try:
        with open(YAMA) as file:
            return file.read().strip()
    except (IOError, OSError):
        return ""


def _main():  # type: () -> None
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        prepare(folder)
    except Exception:
        pass
    step_aside(folder)


if __name__ == NAME:
    _main()
