"""The code of a training as it stands now: the tracked source files of its git repository, else its scripts.

What is source is told by suffix. Notebooks, results, databases and the like are none: a training writes them itself. A
configuration counts where the command names it.

By content, so that a commit that changes only prose, or the same code on another branch, is no change, and an edit that
nobody committed is one. Of a repository that is too large for that: the commit, and what differs from it.

Nothing of the repository is run (no hook, no filter, no file system monitor), and nothing in it is written, not even
its index. Refuses to know which files the training imports.
"""

import hashlib
import os
import subprocess
from collections.abc import Container, Iterable, Mapping, Sequence

from outlast.checkpoints.lock import declared, hashes
from outlast.checkpoints.parts.faults import Broken, Late
from outlast.checkpoints.parts.reading import Deadline, opened
from outlast.facts import Known, NotLocked, Trait

SCRIPTS = (".py", ".sh", ".bash", ".jl", ".R", ".lua", ".pl")
SOURCES = (
    *SCRIPTS, ".pyx", ".pxd", ".pxi", ".pyi", ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hh", ".hpp", ".hxx",
    ".inl", ".m", ".mm", ".metal", ".cl", ".rs", ".go", ".java", ".kt", ".scala", ".swift", ".ts", ".js", ".f90", ".f",
    ".r", ".rb", ".zsh", ".fish", ".triton",
)  # fmt: skip
REQUIREMENTS = ("requirements", "constraints")  # prose by its suffix, and code by its meaning
FILES_MAX, FILE_BYTES_MAX, BYTES_MAX = 2000, 4 << 20, 64 << 20
WITHIN_S = 5.0
GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def read(
    argv: Sequence[str], cwd: str, environment: Mapping[str, str], ignored: str, deadline: Deadline
) -> Trait:
    """`ignored`: the folder of the checkpoints; what a training saves is no code, even where it is tracked."""
    try:
        scripts = _scripts(argv, cwd)
        home = os.path.dirname(scripts[0]) if scripts else cwd
        root = _git(home, environment, "rev-parse", "--show-toplevel").strip()
        if root:
            configs = {_inside(root, path) for path in declared.configs_of(argv, cwd)}
            return _of_repository(root, scripts, configs, environment, ignored, deadline)
        if scripts:
            return _of_scripts(scripts, cwd, deadline)
        return NotLocked("no git repository, and the command names no script")
    except (Broken, Late) as error:
        return NotLocked(f"the code: {error}")
    except subprocess.TimeoutExpired:
        return NotLocked(f"the code: git did not answer within {WITHIN_S:.0f} s")
    except OSError as error:
        return NotLocked(f"the code cannot be read: {error.strerror or error}")


def _of_repository(
    root: str,
    scripts: Sequence[str],
    configs: Container[str],
    environment: Mapping[str, str],
    ignored: str,
    deadline: Deadline,
) -> Trait:
    """`configs`: names of what the command names beside its scripts."""
    commit = _git(root, environment, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    tracked = [
        name
        for name in _names(_git(root, environment, "ls-files", "-z"))
        if _is_code(root, name, configs, ignored)
    ]
    own = [os.path.relpath(script, root) for script in scripts]
    names = sorted({*tracked, *own})
    if len(names) <= FILES_MAX and _bytes(root, names) <= BYTES_MAX:
        files = _hashed(root, names, deadline)
        about = (("commit", commit[:12] or "none yet"),)
        return Known(_digest(files), "sources", f"git, {root}", (*about, *files), path=root)
    changed = [
        name[3:] for name in _names(_git(root, environment, "status", "--porcelain=v1", "-z", "--untracked-files=no",
                                         "--no-renames", "--ignore-submodules=dirty"))
        if _is_code(root, name[3:], configs, ignored)
    ]  # fmt: skip
    files = _hashed(root, sorted({*changed, *own})[:FILES_MAX], deadline)
    fields = (("commit", commit[:12] or "none yet"), *files)
    return Known(
        hashes.of_text(commit, _digest(files)), "commit and changes", f"git, {root}", fields, path=root
    )


def _of_scripts(scripts: Sequence[str], cwd: str, deadline: Deadline) -> Known:
    files = _hashed(cwd, [os.path.relpath(script, cwd) for script in scripts], deadline)
    return Known(_digest(files), "scripts", "the script that the command names (no git)", files)


def _scripts(argv: Sequence[str], cwd: str) -> list[str]:
    found = []
    for place, word in enumerate(argv):
        if place and argv[place - 1] == "-m":
            word = f"{word.replace('.', os.sep)}.py"
        path = os.path.normpath(os.path.join(cwd, os.path.expanduser(word)))
        if word.endswith(SCRIPTS) and os.path.isfile(path):
            found.append(path)
    return found


def _is_code(root: str, name: str, configs: Container[str], ignored: str) -> bool:
    if ignored and os.path.join(root, name).startswith(f"{ignored.rstrip(os.sep)}{os.sep}"):
        return False
    base = os.path.basename(name).lower()
    return (
        base.endswith(SOURCES) or name in configs or (base.startswith(REQUIREMENTS) and base.endswith(".txt"))
    )


def _inside(root: str, path: str) -> str:
    """As git names it: its root is a real path, and the folder that a command names may be reached by a link."""
    folder, name = os.path.split(path)
    return os.path.relpath(os.path.join(os.path.realpath(folder), name), os.path.realpath(root))


def _hashed(root: str, names: Iterable[str], deadline: Deadline) -> tuple[tuple[str, str], ...]:
    """(name, hash) of each; of one that was deleted, is a link or a submodule: what it is."""
    return tuple((name, _of_one(os.path.join(root, name), deadline)) for name in names)


def _of_one(path: str, deadline: Deadline) -> str:
    if os.path.islink(path):
        return f"link to {os.readlink(path)}"
    if os.path.isdir(path):
        return "submodule"
    try:
        with opened(path, deadline) as file:
            digest = hashlib.sha256()
            for piece in file.pieces(0, min(file.size, FILE_BYTES_MAX)):
                digest.update(piece)
            return hashes.short(digest)
    except FileNotFoundError:
        return "deleted"


def _bytes(root: str, names: Iterable[str]) -> int:
    total = 0
    for name in names:
        try:
            total += min(FILE_BYTES_MAX, os.lstat(os.path.join(root, name)).st_size)
        except OSError:
            continue  # deleted: it costs nothing
    return total


def _digest(files: Iterable[tuple[str, str]]) -> str:
    return hashes.of_text(*(word for pair in files for word in pair))


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]


def _git(folder: str, environment: Mapping[str, str], *words: str) -> str:
    """What git prints; "" where there is no git or no repository. Raises TimeoutExpired."""
    kept = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [*GIT, "-C", folder, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            timeout=WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
