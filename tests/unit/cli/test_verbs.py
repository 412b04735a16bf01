"""Finding the verb, and what a wrong word becomes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import outlast
from outlast.cli import main, verbs
from outlast.errors import BUG, CANCELLED, NOT_FOUND, OK, USAGE, WorldError
from tests.unit.cli.conftest import Desk


def one_line(err: str) -> str:
    assert err.startswith("outlast: ")
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb(desk: Desk, words: list[str]) -> None:
    code, out, err = desk.run(*words)
    assert (code, err) == (OK, "")
    for verb in verbs.VERBS:
        assert f"\n  {verb} " in out


@pytest.mark.parametrize("verb", list(verbs.VERBS))
def test_help_of_every_verb_has_examples_that_name_it(verb: str) -> None:
    text = verbs.parser_of(verb).format_help()
    assert "examples:" in text
    assert f"outlast {verb}" in text.partition("examples:")[2]


@pytest.mark.parametrize("verb", list(verbs.VERBS))
def test_help_may_stand_before_or_behind_the_verb(desk: Desk, verb: str) -> None:
    before = desk.run("help", verb)
    with pytest.raises(SystemExit) as left:
        desk.run(verb, "--help")
    assert left.value.code == 0
    assert before[0] == OK


def test_version(desk: Desk) -> None:
    assert desk.run("--version") == (OK, f"outlast {outlast.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["sotp"], ["unknown verb sotp", "did you mean stop?"]),
        (["frobnicate"], ["unknown verb frobnicate", "--help"]),
        (["--versoin"], ["unknown option --versoin", "did you mean --version?"]),
        (["help", "stpo"], ["unknown verb stpo"]),
        (["ls", "--colums", "id"], ["ls:", "unknown option --colums", "did you mean --columns?"]),
        (["run", "--detatch", "--", "true"], ["run:", "unknown option --detatch", "did you mean --detach?"]),
        (["run", "--det", "--", "true"], ["run:", "unknown option --det"]),
        (["run", "--timeout=soon", "--", "true"], ["run:", "--timeout", "'soon' is not a duration"]),
        (["run", "--timeout", "-5s", "--", "true"], ["run:", "--timeout", "'-5s' is not a duration"]),
        (
            ["run", "--backend", "slurm", "--", "true"],
            ["run: --backend slurm: there is no such", "known are: local"],
        ),
        (
            ["run", "--backend=slurm", "--", "true"],
            ["run: --backend slurm: there is no such", "known are: local"],
        ),
        (["run", "--gpus", "2", "--", "true"], ["run: no option --gpus:"]),
        (
            ["run", "--name", "caf\udce9", "--", "true"],
            ["word 3 of the command line is not UTF-8 text: 'caf\\xe9'"],
        ),
        (["ls", "--tag=\udcff"], ["word 2 of the command line is not UTF-8 text"]),
        (["run", "--env", "A=hush\udcff", "--", "true"], ["word 3", "a word of --env"]),
        (["run", "--env=A=hush\udcff", "--", "true"], ["word 2", "a word of --env"]),
        (["run", "--", "echo", "\udcff"], ["word 4 of the command line is not UTF-8 text"]),
        (["run", "--slots", "0", "--", "true"], ["run:", "--slots", "above zero"]),
        (["run", "--priority", "top", "--", "true"], ["run:", "--priority", "high"]),
        (["run", "--name"], ["run:", "--name", "expected one argument"]),
        (["ls", "big"], ["ls:", "unexpected word 'big'"]),
        (["wait"], ["wait:", "RUN"]),
        (["--workspace"], ["--workspace needs a folder"]),
        (["--workspace", "/nowhere/at/all", "ls"], ["/nowhere/at/all", "there is no such folder"]),
    ],
)
def test_wrong_word_gets_one_line_that_says_what_and_the_nearest(
    desk: Desk, words: list[str], parts: list[str]
) -> None:
    code, out, err = desk.run(*words)
    assert (code, out) == (USAGE, "")
    for part in parts:
        assert part in one_line(err)
    assert "hush" not in err
    assert "did you mean --backoff" not in err


def test_words_that_are_no_text_are_refused_as_the_shell_hands_them_over(desk: Desk) -> None:
    words = [sys.executable.encode(), b"-m", b"outlast", b"run", b"--note", b"caf\xe9", b"--", b"true"]
    said = subprocess.run(words, cwd=desk.root, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (USAGE, "")
    assert "'caf\\xe9'" in one_line(said.stderr)


def test_workspace_may_stand_before_or_behind_the_verb(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other", desk._capsys)
    other.root.chmod(0o700)
    other.board(other.add("x-20260101-000000"))
    where = str(other.root)
    for words in (["--workspace", where, "ls"], [f"--workspace={where}", "ls"], ["ls", "--workspace", where]):
        code, out, _ = desk.run(*words, "--all")
        assert code == OK
        assert "x-20260101-000000" in out
    code, out, _ = desk.run("--workspace", where, "ls", "--json")
    assert (code, out) == (OK, "[]\n")  # the quick way without a parser obeys it too


def test_no_workspace_is_not_found(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path / "empty")
    for verb in ("ls", "status"):
        code, _, err = desk.run(verb)
        assert code == NOT_FOUND
        assert "no workspace" in one_line(err)


def test_a_bug_becomes_one_line_and_a_file_with_the_traceback(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: list[str]) -> int:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(verbs, "dispatch", broken)
    code, out, err = desk.run("ls")
    assert (code, out) == (BUG, "")
    assert "ZeroDivisionError: planted" in one_line(err)
    path = Path(err.strip().rpartition(" ")[2])
    assert path.is_relative_to(tmp_path)
    assert "in broken" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_a_bug_is_told_where_nothing_can_be_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from outlast.disk import files

    def broken(_: list[str]) -> int:
        raise ZeroDivisionError("planted")

    def full(*_: object, **__: object) -> None:
        raise WorldError("No space left on device")

    monkeypatch.setattr(verbs, "dispatch", broken)
    monkeypatch.setattr(files, "replace_bytes", full)
    code, _, err = desk.run("ls")
    assert code == BUG
    assert "planted" in one_line(err)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), CANCELLED), (WorldError("a\nb"), 75), (BrokenPipeError(), OK)]
)
def test_what_is_raised_decides_the_exit_code(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def raising(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(verbs, "dispatch", raising)
    monkeypatch.setattr("outlast.cli._forget_output", lambda: None)
    found, _, err = desk.run("ls")
    assert found == code
    assert err.count("\n") <= 1


def command(*words: str, **more: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "outlast", *words], capture_output=True, text=True, **more)  # type: ignore[call-overload, no-any-return]  # keywords of the test's own, checked when it runs


def test_a_reader_that_leaves_is_no_error(desk: Desk) -> None:
    desk.board(*[desk.add(f"x-20260101-{i:06d}") for i in range(300)])
    shell = f"{sys.executable} -m outlast ls --all | head -1; echo ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=desk.root, check=True)
    assert said.stdout.splitlines()[1] == "0"
    assert said.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_left_changes_no_exit_code(desk: Desk, unbuffered: str) -> None:
    desk.add("x-20260101-000000", outcome="failed")
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "outlast", "wait", "x", "--json"]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    said = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=desk.root, env=env)
    os.close(writing)
    assert (said.returncode, said.stderr) == (1, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_do_no_harm(desk: Desk, closed: str) -> None:
    desk.board(desk.add("x-20260101-000000"))
    shell = f"exec {sys.executable} -m outlast run --dry-run -- true {closed}"
    said = subprocess.run(["bash", "-c", shell], cwd=desk.root, capture_output=True)
    assert said.returncode == 0, said.stderr


def test_quick_verbs_import_no_more_than_they_need(desk: Desk) -> None:
    desk.board(desk.add("x-20260101-000000"))
    for verb in ("ls", "status"):
        program = (
            f"import sys; from outlast.cli import main; main(['{verb}']); "
            "print(sorted(set(sys.modules) & {'msgspec', 'yaml', 'outlast.facts', 'argparse', 'typing', 'asyncio', "
            "'datetime', 'shutil', 'secrets', 'subprocess', 'logging', 'pathlib', 'outlast.disk.files'}))"
        )
        bare = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [sys.argv[1]]; {program}"]
        source = str(Path(outlast.__file__).parent.parent)
        said = subprocess.run([*bare, source], capture_output=True, text=True, cwd=desk.root, check=True)
        assert said.stdout.splitlines()[-1] == "[]"


def test_main_without_words_reads_the_command_line(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr(sys, "argv", ["outlast", "nonsense"])
    assert main() == USAGE
    assert os.getcwd() == str(desk.root)
