"""The sitecustomize that the runner puts before a training's own, in real interpreters."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from outlast.disk import stack_page
from outlast.runner import injection
from tests.hangs import CLEAN
from tests.runner_driver import PYTHON

INJECTED = Path(injection.FOLDER) / "sitecustomize.py"
LOOK = """
import json, os, sys
caught = [line for line in open("/proc/self/status") if line.startswith("SigCgt")][0].split()[1]
sys.stdout.write(json.dumps({
    "armed": bool(int(caught, 16) & 1 << 40),
    "site": getattr(sys.modules.get("sitecustomize"), "__file__", None),
    "path": sys.path,
    "modules": sorted(sys.modules),
}))
"""
OWN = "import sys\nsys.own = (__name__, __file__, __spec__.origin, list(sys.path))\n"
COST_MAX_US = 1000
LOOKS = 12


def run(*words: str, python: str = PYTHON, **env: str) -> "subprocess.CompletedProcess[str]":
    env = {**CLEAN, **env}
    return subprocess.run(
        [python, *words],
        env={**env, **injection.environment(env, os.getpid())},
        capture_output=True,
        text=True,
        check=False,
    )


def look(*flags: str, python: str = PYTHON, code: str = LOOK, **env: str) -> dict[str, object]:
    done = run(*flags, "-c", code, python=python, **env)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def bare(*flags: str, **env: str) -> dict[str, object]:
    done = subprocess.run(
        [PYTHON, *flags, "-c", LOOK], env={**CLEAN, **env}, capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_every_python_of_a_training_is_armed_and_sees_nothing_of_it() -> None:
    with_it, without = look(), bare()
    assert (with_it["armed"], without["armed"]) == (True, False)
    assert with_it["path"] == without["path"]
    assert with_it["site"] == without["site"]
    added = set(with_it["modules"]) - set(without["modules"])  # type: ignore[call-overload]  # a list, as the program prints it
    assert added <= {"faulthandler", "fcntl", "_signal"}


def test_ones_own_sitecustomize_runs_as_if_there_were_no_other(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(OWN)
    own = str(tmp_path / "sitecustomize.py")
    assert look(PYTHONPATH=str(tmp_path))["site"] == own
    said = run("-c", "import json, sys; print(json.dumps(sys.own))", PYTHONPATH=str(tmp_path))
    name, file, origin, path = json.loads(said.stdout)
    assert (name, file, origin) == ("sitecustomize", own, own)
    assert path[0] == str(tmp_path)
    assert injection.FOLDER not in path


def test_usercustomize_runs_too(tmp_path: Path) -> None:
    site = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True)
    (site / "usercustomize.py").write_text("import sys; sys.user = 1")
    code = "import sys, site; print(site.ENABLE_USER_SITE, getattr(sys, 'user', 0))"
    python = os.path.realpath(PYTHON)  # in a virtual environment there is no user site
    assert run("-c", code, python=python, PYTHONUSERBASE=str(tmp_path)).stdout == "True 1\n"


@pytest.mark.parametrize(
    "wrong", ["raise ValueError('mine')", "import nowhere", "1 +", "raise SystemExit(7)"]
)
def test_what_ones_own_does_wrong_goes_as_wrong_as_before(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(wrong)
    words = [PYTHON, "-c", "print('on it goes')"]
    before = subprocess.run(
        words, env={**CLEAN, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    after = run(*words[1:], PYTHONPATH=str(tmp_path))
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout)
    if "SystemExit" not in wrong:  # there the interpreter shows every frame on the way
        assert after.stderr == before.stderr


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-S"]])
def test_a_python_that_reads_no_environment_or_no_site_is_left_alone(flags: list[str]) -> None:
    assert look(*flags)["armed"] is False


def test_children_of_multiprocessing_are_armed_however_they_start(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "def child(queue):\n"
        "    line = [l for l in open('/proc/self/status') if l.startswith('SigCgt')][0]\n"
        "    queue.put(bool(int(line.split()[1], 16) & 1 << 40))\n"
        "if __name__ == '__main__':\n"
        "    for how in ('fork', 'spawn', 'forkserver'):\n"
        "        context = multiprocessing.get_context(how)\n"
        "        queue = context.Queue()\n"
        "        process = context.Process(target=child, args=(queue,))\n"
        "        process.start(); print(how, queue.get(timeout=30)); process.join()\n"
    )
    done = run(str(program))
    assert done.stdout == "fork True\nspawn True\nforkserver True\n", done.stderr


def test_a_virtual_environment_is_armed(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    found = look(python=str(tmp_path / "venv" / "bin" / "python"))
    assert found["armed"] is True


@pytest.mark.parametrize("damage", ["away", "broken", "other"])
def test_whatever_became_of_our_files_the_training_starts(tmp_path: Path, damage: str) -> None:
    package = tmp_path / "outlast"
    shutil.copytree(Path(injection.FOLDER).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    page = package / "disk" / "stack_page.py"
    if damage == "away":
        page.unlink()
    else:
        page.write_text("1 +" if damage == "broken" else "raise RuntimeError('not mine')")
    env = {**CLEAN, "PYTHONPATH": str(package / "runner" / "injected")}
    done = subprocess.run([PYTHON, "-c", LOOK], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["armed"] is False
    assert str(package / "runner" / "injected") not in json.loads(done.stdout)["path"]


def test_start_of_a_python_takes_less_than_a_millisecond_longer() -> None:
    run("-c", "pass")  # compiled by now
    costs = []
    for _ in range(LOOKS):
        (line,) = [
            line
            for line in run("-X", "importtime", "-c", "pass", PYTHONFAULTHANDLER="1").stderr.splitlines()
            if re.search(r"\| +sitecustomize$", line) and "outlast" not in line
        ][-1:]
        costs.append(int(line.split("|")[1]))
    assert min(costs) < COST_MAX_US


def test_any_python_since_2_7_can_parse_it_and_the_page_any_since_3_8() -> None:
    text = INJECTED.read_text()
    assert "->" not in re.sub(r"#.*", "", text)
    assert not re.search(r"\bf['\"]", text)
    for source in (text, Path(stack_page.__file__).read_text()):
        ast.parse(source, feature_version=(3, 8))


def test_all_other_pythons_of_this_machine_start_as_ever_and_are_armed() -> None:
    for python in _other_pythons():
        done = run("-c", LOOK, python=python)
        assert (done.returncode, done.stderr) == (0, ""), python
        found = json.loads(done.stdout)
        assert found["armed"] is ("2.7" not in python), python
        assert injection.FOLDER not in found["path"], python


def _other_pythons() -> list[str]:
    """Those beside ours, as pyenv and its like keep them, that outlast's users may have."""
    beside = Path(os.path.realpath(PYTHON)).parents[2].glob("*/bin/python")
    return [
        str(path)
        for path in beside
        if re.search(r"2\.7|3\.([89]|1\d)", str(path)) and os.access(path, os.X_OK)
    ]


# --- the permission to trace --------------------------------------------------------------------------------------


def permission(tmp_path: Path, scope: str, env: dict[str, str], code: str) -> list[list[object]]:
    """What prctl was called with, where Yama says `scope`."""
    (tmp_path / "scope").write_text(scope)
    program = f"""
import json, os, sys
names = {{"__name__": "probe", "__file__": {str(INJECTED)!r}}}
exec(open({str(INJECTED)!r}).read(), names)
names["YAMA"] = {str(tmp_path / "scope")!r}
def call(*args): print(json.dumps([os.getpid(), *args]), flush=True)
real = names["_load"]
names["_load"] = lambda path: {{**real(path), "call": call}}
names["prepare"]({injection.FOLDER!r})
{code}
"""
    done = subprocess.run(
        [PYTHON, "-c", program], env={**CLEAN, **env}, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_where_only_ancestors_may_trace_the_runner_is_allowed_to_also_by_forked_children(
    tmp_path: Path,
) -> None:
    fork = "pid = os.fork()\nif pid: os.wait()"
    calls = permission(tmp_path, "1\n", {"OUTLAST_RUNNER_PID": "4711"}, fork)
    assert [call[1:] for call in calls] == [["prctl", 0x59616D61, 4711]] * 2
    assert calls[0][0] != calls[1][0]


def test_any_runner_may_be_named(tmp_path: Path) -> None:
    (call,) = permission(tmp_path, "1\n", {"OUTLAST_RUNNER_PID": "any"}, "")
    assert call[1:] == ["prctl", 0x59616D61, -1]


@pytest.mark.parametrize(
    ("scope", "env"),
    [("0\n", {"OUTLAST_RUNNER_PID": "1"}), ("2\n", {"OUTLAST_RUNNER_PID": "1"}), ("1\n", {})],
)
def test_where_it_is_not_needed_or_not_asked_for_nothing_is_allowed(
    tmp_path: Path, scope: str, env: dict[str, str]
) -> None:
    assert permission(tmp_path, scope, env, "") == []


def test_prctl_takes_the_words_as_they_are_given() -> None:
    code = f"import sys; sys.path.insert(0, {str(INJECTED.parents[3])!r})\n"
    code += "from outlast.disk import stack_page\nprint(stack_page.call('prctl', 4, 0), stack_page.call('prctl', 3))"
    assert run("-c", code).stdout == "0 0\n"  # PR_SET_DUMPABLE, PR_GET_DUMPABLE


# --- the environment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "{}"),
        ({"PYTHONPATH": ""}, "{}"),
        ({"PYTHONPATH": "/a:/b"}, "{}:/a:/b"),
        ({"PYTHONPATH": "/a::"}, "{}:/a::"),
    ],
)
def test_folder_comes_first_and_an_empty_path_does_not_become_the_current_folder(
    before: dict[str, str], after: str
) -> None:
    found = injection.environment(before, 12)
    assert found == {"PYTHONPATH": after.format(injection.FOLDER), "OUTLAST_RUNNER_PID": "12"}
    assert injection.environment(found, 12) == found


def test_folder_whose_name_cannot_stand_in_a_path_is_not_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injection, "FOLDER", "/a:b")
    assert injection.environment({"PYTHONPATH": "/c"}, 1) == {}
