"""`config`, `service`, `completion`: what sets outlast up."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.cli import service, verbs
from outlast.disk.layout import Workspace
from outlast.errors import OK, REFUSED, USAGE
from tests.unit.cli.conftest import Desk

Touch = Callable[..., Path]


def test_config_show_says_where_each_value_comes_from(desk: Desk, touch: Touch) -> None:
    touch("outlast.yaml", "limits:\n  attempts: 5\n  stall: {eval: 30m}\n")
    code, out, _ = desk.run("config", "show")
    assert code == OK
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["limits.attempts"] == ["5", f"{desk.root}/outlast.yaml:2"]
    assert lines["limits.stall.eval"] == ["30m00s", f"{desk.root}/outlast.yaml:3"]
    assert lines["slots.count"] == ["1", "default"]
    assert desk.json("config", "show")["limits.attempts"]["value"] == 5


def test_config_check_is_quiet_when_right_and_clear_when_not(desk: Desk, touch: Touch) -> None:
    assert desk.run("config", "check")[:2] == (OK, "")
    touch("outlast.yaml", "slots: {count: 2}\n")
    assert desk.run("config", "check")[0] == OK
    touch("outlast.yaml", "slots: {cuont: 2}\n")
    code, out, err = desk.run("config", "check")
    assert (code, out) == (USAGE, "")
    assert "did you mean slots.count?" in err


def test_the_unit_leaves_trainings_alone_and_starts_this_workspace(tmp_path: Path) -> None:
    root = tmp_path / "a folder with 100% $HOME"
    text = service.unit(Workspace(str(root)))
    assert "KillMode=process\n" in text
    assert "OOMPolicy=continue\n" in text
    assert "Type=notify\n" in text
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.partition("=")[2].replace("%%", "%").replace("$$", "$"))
    assert words[1:] == ["-m", "outlast", "--workspace", str(root), "up"]


def test_two_workspaces_of_one_name_have_two_units(desk: Desk) -> None:
    assert service.unit_path(Workspace("/a/x")) != service.unit_path(Workspace("/b/x"))
    assert service.unit_path(Workspace("/a/x")) == service.unit_path(Workspace("/a/x"))
    assert "/" not in os.path.basename(service.unit_path(Workspace("/")))


def test_service_print_prints_the_unit(desk: Desk) -> None:
    assert desk.run("service", "print") == (OK, service.unit(desk.workspace), "")


def test_service_install_without_systemd_says_what_to_do_instead(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    code, _, err = desk.run("service", "install")
    assert code == REFUSED
    assert "outlast up --guard" in err
    assert not os.path.exists(service.unit_path(desk.workspace))


def test_service_install_writes_enables_and_starts_the_unit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def systemctl(words: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        asked.append(" ".join(words))
        return subprocess.CompletedProcess(words, 0, "", "")

    real = os.path.isdir
    monkeypatch.setattr("shutil.which", lambda name: "/bin/systemctl")
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/run/systemd/system" or real(path))
    monkeypatch.setattr(subprocess, "run", systemctl)
    code, _, err = desk.run("service", "install")
    assert code == OK, err
    path = service.unit_path(desk.workspace)
    assert Path(path).read_text() == service.unit(desk.workspace)
    name = os.path.basename(path)
    assert asked == [
        f"systemctl --user {verb}" for verb in ("daemon-reload", f"enable {name}", f"restart {name}")
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_verb_and_their_options(desk: Desk, shell: str) -> None:
    code, out, err = desk.run("completion", shell)
    assert code == OK, err
    for verb in verbs.VERBS:
        assert verb in out
    assert "checkpoints" in out


def test_bash_accepts_the_completion_and_completes_a_verb(desk: Desk, tmp_path: Path) -> None:
    script = tmp_path / "outlast.bash"
    script.write_text(desk.run("completion", "bash")[1])
    words = "COMP_WORDS=(outlast pri); COMP_CWORD=1; _shtab_outlast outlast pri outlast"
    ask = f"source {script}; {words}; echo ${{COMPREPLY[@]}}"
    said = subprocess.run(["bash", "-c", ask], capture_output=True, text=True)
    assert said.stdout.split() == ["priority"], said.stderr


def test_demo_hands_its_options_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def demo(folder: str | None = None, *, keep: bool = False) -> int:
        told.append((folder, keep))
        return 0

    monkeypatch.setattr("outlast.cli.demo.demo", demo)
    assert desk.run("demo", "--keep")[0] == OK
    assert desk.run("demo", "--folder", "x")[0] == OK
    assert told == [(None, True), ("x", False)]
    assert json.dumps(told)
