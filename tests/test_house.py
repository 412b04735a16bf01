"""What linters cannot hold: the rules of the house as functions over source text, each with its planted violation.

Knows where the rooms are and what each may do. Refuses to know what they do. A room that is not built yet is simply
not there to break a rule.
"""

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "outlast"
GROUND = ("__init__.py", "errors.py", "disk", "runner", "sdk")
LINES_MAX = 450

# A distribution and the name under which it is imported, where the two differ.
IMPORT_NAMES = {"pyyaml": "yaml"}

# Standard library in a newer Python than the one that runs this test; imported under `try`.
NEWER_STDLIB = frozenset({"_sha2"})

# What alone makes a file true on disk: done in disk/files and nowhere else.
DISK_CALLS = frozenset(
    "os.link os.rename os.renames os.replace os.fsync os.fdatasync os.truncate os.ftruncate os.symlink "
    "shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move "
    "tempfile.mkstemp tempfile.NamedTemporaryFile tempfile.TemporaryFile".split()
)
DISK_METHODS = frozenset({"write_text", "write_bytes", "hardlink_to", "symlink_to"})
READING_FLAGS = frozenset(
    "O_RDONLY O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_NOCTTY O_PATH O_NOATIME".split()
)
WRITING_MODE = re.compile(r"[rwaxbt+]*[wax+][rwaxbt+]*")

# Who else may, what, and why. An entry that is no longer used must go.
DISK_EXCEPTIONS: dict[str, frozenset[str]] = {
    "outlast/disk/files.py": frozenset({"*"}),  # the one place
    "outlast/disk/copies.py": frozenset({"*"}),  # the same for whole folders, beside it
    "outlast/runner/census.py": frozenset({"os.open"}),  # control files of the kernel: cgroup.kill
    # The heartbeat page lies in node memory and is mapped by the training: nothing of it is ever made durable.
    "outlast/disk/page.py": frozenset({"os.open", "os.symlink"}),
    "outlast/disk/heartbeat.py": frozenset({"os.open"}),  # the same page, opened from beside the training
    "outlast/cli/__init__.py": frozenset(
        {"os.open"}
    ),  # /dev/null in the place of a closed standard descriptor
    "outlast/trainers/checkpoint_folder.py": frozenset(
        {"*"}
    ),  # a program of its own, as a user would write it
}

# Rooms whose `match` statements are the decisions themselves.
DECIDING = ("outlast/decide/", "outlast/facts/", "outlast/supervise/")

MACHINE = re.compile(
    r"(?<![\w.)}*$-])/(work|farm)/"  # a folder of one particular machine
    r"|pypi\.org|python[h]osted\.org|registry\.np[m]js|(extra-)?index[-]url|trusted[-]host"
)

Tree = ast.Module
Rule = Callable[[str, Tree], list[str]]


def ground_imports(path: str, tree: Tree) -> list[str]:
    """The ground floor imports the standard library and itself, absolutely, at whatever depth of a function."""
    own = {"outlast." + name.removesuffix(".py") for name in GROUND if name != "__init__.py"}
    found = []
    for node, name in _imports(tree):
        top, two = name.split(".")[0], ".".join(name.split(".")[:2])
        if top not in sys.stdlib_module_names | NEWER_STDLIB and name != "outlast" and two not in own:
            found.append(f"{path}:{node.lineno}: imports {name or 'a relative name'}")
    return found


def disk_acts(path: str, tree: Tree) -> list[str]:
    """Links, renames, fsyncs and openings for writing stand in disk/files."""
    allowed = DISK_EXCEPTIONS.get(path, frozenset())
    return [
        f"{path}:{node.lineno}: {act}"
        for node, act in _disk_acts(tree)
        if act not in allowed and "*" not in allowed
    ]


def closed_matches(path: str, tree: Tree) -> list[str]:
    """A match on a union of values has no wildcard (mypy then checks that it is exhaustive) or ends it in assert_never.

    A match on open values (texts, numbers, tuples) may end in a wildcard, but one that returns or raises: falling
    through is how a forgotten case stays unnoticed.
    """
    return [
        f"{path}:{node.lineno}: {wrong}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Match) and (wrong := _open_end(node))
    ]


def file_length(path: str, text: str) -> list[str]:
    lines = text.count("\n")
    return [f"{path}: {lines} lines, more than {LINES_MAX}: which second room is in it?"] * (
        lines > LINES_MAX
    )


def opens_with_docstring(path: str, tree: Tree) -> list[str]:
    """A file says first what it knows and what it refuses to know."""
    return [f"{path}: has no docstring"] * bool(tree.body and ast.get_docstring(tree) is None)


def machine_names(path: str, text: str) -> list[str]:
    """No path of one machine and no host of a registry: a clone works anywhere."""
    return [
        f"{path}:{text.count(chr(10), 0, hit.start()) + 1}: names {hit.group()}"
        for hit in MACHINE.finditer(text)
    ]


def lists_differ(pyproject: str, contracts: str) -> list[str]:
    """The names that the ground contract forbids are the names under which the dependencies are imported."""
    parser = configparser.ConfigParser()
    parser.read_string(contracts)
    forbidden = set(parser["importlinter:contract:ground"]["forbidden_modules"].split())
    differ = sorted(forbidden ^ _dependencies(pyproject))
    return [f"{name}: stands in only one of pyproject.toml and .importlinter" for name in differ]


TREE_RULES: list[tuple[Rule, Callable[[str], bool]]] = [
    (ground_imports, lambda path: path.split("/")[1] in GROUND),
    (disk_acts, lambda path: True),
    (closed_matches, lambda path: path.startswith(DECIDING)),
    (opens_with_docstring, lambda path: True),
]


@pytest.mark.parametrize("rule", [rule for rule, _ in TREE_RULES], ids=lambda rule: rule.__name__)
def test_house_keeps(rule: Rule) -> None:
    concerns = dict(TREE_RULES)[rule]
    modules = {path: tree for path, tree in _modules() if concerns(path)}
    assert modules, "the rule looks at nothing"
    _expect_none(wrong for path, tree in modules.items() for wrong in rule(path, tree))


@pytest.mark.parametrize(
    ("rule", "path", "planted"),
    [
        (ground_imports, "outlast/disk/x.py", "import msgspec"),
        (ground_imports, "outlast/sdk/x.py", "def f():\n    from torch.utils import data"),
        (ground_imports, "outlast/runner/x.py", "from outlast.facts import codec"),
        (ground_imports, "outlast/runner/x.py", "from outlast import facts"),
        (ground_imports, "outlast/runner/x.py", "from . import life"),
        (ground_imports, "outlast/errors.py", "import importlib\nimportlib.import_module('yaml')"),
        (ground_imports, "outlast/__init__.py", "import outlast.cli"),
        (disk_acts, "outlast/disk/journal.py", "import os\nos.rename(a, b)"),
        (disk_acts, "outlast/disk/journal.py", "import os\nos.fdatasync(fd)"),
        (disk_acts, "outlast/runner/life.py", "from os import fsync"),
        (disk_acts, "outlast/runner/life.py", "import os as o\no.link(a, b)"),
        (disk_acts, "outlast/work/x.py", "open(path, 'w')"),
        (disk_acts, "outlast/work/x.py", "open(path, mode=mode)"),
        (disk_acts, "outlast/work/x.py", "path.open('r+b')"),
        (disk_acts, "outlast/work/x.py", "path.write_text('x')"),
        (disk_acts, "outlast/work/x.py", "import os\nos.open(path, os.O_RDONLY | os.O_CREAT)"),
        (disk_acts, "outlast/work/x.py", "import os\nos.open(path, flags)"),
        (disk_acts, "outlast/disk/heartbeat.py", "import os\nos.replace(a, b)"),
        (closed_matches, "outlast/decide/x.py", "match end:\n case Lost(): f()\n case _: return 0"),
        (closed_matches, "outlast/decide/x.py", "match end:\n case Lost() | Exited() as e: f()\n case e: f()"),
        (closed_matches, "outlast/decide/x.py", "match word:\n case 'a': f()\n case _: pass"),
        (opens_with_docstring, "outlast/decide/x.py", "import math"),
    ],
)  # fmt: skip
def test_planted_violation_is_seen(rule: Rule, path: str, planted: str) -> None:
    assert rule(path, ast.parse(planted))


@pytest.mark.parametrize(
    ("rule", "path", "harmless"),
    [
        (ground_imports, "outlast/sdk/x.py", "import os.path\nfrom outlast.disk import files"),
        (disk_acts, "outlast/work/x.py", "import os\nos.open(path, os.O_RDONLY | os.O_CLOEXEC)"),
        (disk_acts, "outlast/work/x.py", "import os\nos.open(os.devnull, os.O_RDWR)"),
        (disk_acts, "outlast/work/x.py", "open(path)\nopen(path, 'rb', buffering=0)\npath.open('r')"),
        (disk_acts, "outlast/work/x.py", "files.replace(path, record)\ntext.replace('a', 'b')\njournal.open('w-1')"),
        (closed_matches, "outlast/decide/x.py", "match end:\n case Lost(): f()\n case _: assert_never(end)"),
        (closed_matches, "outlast/decide/x.py", "match end:\n case Lost(): f()\n case Exited(): f()"),
        (closed_matches, "outlast/decide/x.py", "match word:\n case 'a': f()\n case _: return 0"),
        (closed_matches, "outlast/decide/x.py", "match x:\n case (Lost(), _): f()\n case _: raise Broken"),
        (opens_with_docstring, "outlast/decide/x.py", ""),
    ],
)  # fmt: skip
def test_harmless_code_is_left_alone(rule: Rule, path: str, harmless: str) -> None:
    assert rule(path, ast.parse(harmless)) == []


def test_no_module_is_longer_than_a_room() -> None:
    _expect_none(wrong for path, text in _texts() for wrong in file_length(path, text))
    assert file_length("x.py", "\n" * (LINES_MAX + 1))


def test_every_folder_of_modules_is_a_package() -> None:
    # A folder without __init__.py is invisible to import-linter, and with it all that it imports.
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    _expect_none(str(folder) for folder in folders if not (folder / "__init__.py").exists())


def test_every_disk_exception_is_still_needed() -> None:
    modules = dict(_modules())
    for path, allowed in DISK_EXCEPTIONS.items():
        if path in modules:
            acts = {act for _, act in _disk_acts(modules[path])}
            assert acts, f"{path} does nothing that needs an exception"
            assert allowed - acts <= {"*"}, f"{path} no longer does {allowed - acts}"


def test_dependencies_are_those_that_the_ground_contract_forbids() -> None:
    pyproject, contracts = (ROOT / "pyproject.toml").read_text(), (ROOT / ".importlinter").read_text()
    assert lists_differ(pyproject, contracts) == []
    assert lists_differ(pyproject, contracts.replace("    yaml\n", "")) != []
    assert lists_differ(pyproject.replace('"shtab', '"other'), contracts) != []


def test_no_file_names_this_machine() -> None:
    kept = _kept_files()
    assert ROOT / "pyproject.toml" in kept
    _expect_none(wrong for path in kept for wrong in machine_names(str(path.relative_to(ROOT)), _text(path)))


@pytest.mark.parametrize("planted", ["see {}work/main", "'{}farm/x'", "pip --extra-index{}url x", "pypi.{}"])
def test_planted_machine_name_is_seen(planted: str) -> None:
    end = "org" if planted.startswith("pypi") else "-" if "pip" in planted else "/"
    assert machine_names("x", planted.format(end))


def test_room_named_work_is_no_machine_path() -> None:
    inside = "src/outlast/{0}/ready.py {{root}}/{0}/x ./{0}/y".format("work")
    assert machine_names("x", inside) == []


def test_ground_floor_imports_beside_nothing_else(tmp_path: Path) -> None:
    for name in GROUND:
        _copy(PACKAGE / name, tmp_path / "outlast" / name)
    modules = [_module_name(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.py"))]
    assert "outlast.errors" in modules
    program = "import sys, importlib; sys.path[:0] = [sys.argv[1]]\nfor m in sys.argv[2:]: importlib.import_module(m)"
    alone = _python("-I", "-S", "-c", program, str(tmp_path), *modules)
    assert (alone.returncode, alone.stderr) == (0, "")
    planted = _python("-I", "-S", "-c", program, str(tmp_path), "outlast.errors", "outlast.facts")
    assert planted.returncode != 0


def test_importing_outlast_imports_nothing_else() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import outlast;"
    report = "new = sorted(set(sys.modules) - before); import json; print(json.dumps(new))"
    said = _python("-I", "-S", "-c", program + report, str(SOURCE))
    assert json.loads(said.stdout) == ["outlast"], said.stderr


def test_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def _expect_none(found: Iterable[str]) -> None:
    listed = list(found)
    if listed:
        pytest.fail("\n".join(listed), pytrace=False)


# Helpers: looking at source.


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), path.read_text()


def _modules() -> Iterator[tuple[str, Tree]]:
    for path, text in _texts():
        yield path, ast.parse(text, path)


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: Tree) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node, ""
            elif node.module == "outlast":  # what is imported is the room, or a name of the package itself
                yield from ((node, f"outlast.{alias.name}") for alias in node.names)
            else:
                yield node, node.module or ""
        elif isinstance(node, ast.Call) and _name(node.func).endswith(("import_module", "__import__")):
            yield from ((node, name) for word in node.args[:1] if (name := _literal(word)) is not None)


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _name(node: ast.expr) -> str:
    """`os.path.join` for the expression of that name; an unnamed base is `?`."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _disk_acts(tree: Tree) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    modules = {name.split(".")[0] for name in DISK_CALLS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):  # under another name nobody would see the calls
            yield from (
                (node, f"{a.name} as {a.asname}") for a in node.names if a.asname and a.name in modules
            )
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from ((node, name) for name in names if name in DISK_CALLS or name == "os.open")
        elif isinstance(node, ast.Call) and (act := _disk_call(node)):
            yield node, act


def _disk_call(call: ast.Call) -> str | None:
    name = _name(call.func)
    method = name.rpartition(".")[2]
    if name in DISK_CALLS:
        return name
    if name == "os.open":
        return name if len(call.args) < 2 or not _writes_nothing(*call.args[:2]) else None
    if "." in name and method in DISK_METHODS:
        return method
    if name == "open" and _mode_may_write(call, 1, unknown=True):
        return name
    if "." in name and method == "open" and _mode_may_write(call, 0, unknown=False):
        return "Path.open"
    return None


def _writes_nothing(path: ast.expr, flags: ast.expr) -> bool:
    return _name(path) == "os.devnull" or _only_reads(flags)


def _only_reads(flags: ast.expr) -> bool:
    if isinstance(flags, ast.BinOp) and isinstance(flags.op, ast.BitOr):
        return _only_reads(flags.left) and _only_reads(flags.right)
    return _name(flags).removeprefix("os.") in READING_FLAGS


def _mode_may_write(call: ast.Call, position: int, *, unknown: bool) -> bool:
    modes = [word.value for word in call.keywords if word.arg == "mode"] + call.args[position : position + 1]
    words = [_literal(mode) for mode in modes]
    return any(unknown if word is None else bool(WRITING_MODE.fullmatch(word)) for word in words)


def _open_end(match: ast.Match) -> str | None:
    last = match.cases[-1]
    if last.guard is not None or not _is_wildcard(last.pattern):
        return None
    end = last.body[-1]
    if _calls_assert_never(end):
        return None
    if any(_is_union_member(case.pattern) for case in match.cases):
        return "a match on a union ends in a wildcard that is not assert_never"
    return None if isinstance(end, ast.Return | ast.Raise) else "a wildcard that falls through"


def _is_wildcard(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _is_union_member(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return any(_is_union_member(part) for part in pattern.patterns)
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is not None:
        return _is_union_member(pattern.pattern)
    return (
        isinstance(pattern, ast.MatchClass) and _name(pattern.cls)[:1].isupper()
    )  # `int()`, `str()` are open


def _calls_assert_never(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr | ast.Return) else None
    return isinstance(value, ast.Call) and _name(value.func).endswith("assert_never")


# Helpers: looking at the repository.


def _dependencies(pyproject: str) -> set[str]:
    """Import names of `dependencies`. Read by hand: Python 3.10 has no tomllib."""
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
    assert listed is not None
    names = re.findall(r'^\s*"([A-Za-z0-9_.-]+)', listed[1], re.MULTILINE)
    return {IMPORT_NAMES.get(name.lower(), name.lower().replace("-", "_")) for name in names}


def _kept_files() -> list[Path]:
    """What git keeps, or would if it were told; where there is no git, what a source archive holds."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        said = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        parts = ("src", "tests", "scripts", "benchmarks", "docs")
        files = [path for part in parts for path in (ROOT / part).rglob("*")] + list(ROOT.glob("*"))
        return [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    return [path for name in said.split("\0") if name and (path := ROOT / name).is_file()]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""  # not a text


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _python(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=_CLEAN)


_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
