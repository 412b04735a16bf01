"""Pickles that are made to harm whoever reads them, in real files of torch: the reader of all others goes on.

That nothing of a pickle is run is in `test_checkpoint_damage`; here it is hashed for ever, crashes, or wants all
memory.
"""

import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.parts import apart, pickles, state
from outlast.cli import main
from outlast.decide.resume import choose
from outlast.facts import Unsure, Whole
from outlast.work import ready
from outlast.work.survey import survey
from tests.contract import saved
from tests.contract.test_checkpoint_damage import STEP, judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BUSY_S = 2.0


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "LEAST_S", BUSY_S)


def exploding(doublings: int = 60) -> bytes:
    """A dictionary with one key: a tuple of twice the same tuple of twice the same ... To hash it takes 2**60 steps."""
    body = b"\x80\x04)\x94"
    for n in range(doublings):
        body += b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86\x94"
    return body + b"0}h" + bytes([doublings]) + b"Ns."


def deep(depth: int = 2_000_000) -> bytes:
    """A dictionary with one key: a tuple in a tuple in a tuple ... To hash it takes a stack of as many calls."""
    return b"\x80\x04}N" + b"\x85" * depth + b"Ns."


def greedy() -> bytes:
    """A memo index of four billion: the C unpickler would have as many entries."""
    return b"\x80\x02N" + b"r\xff\xff\xff\xff" + b"."


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "exploding": (exploding, "busy for ever"),
    "deep": (deep, "crashes whoever reads it (SIGSEGV)"),
    "greedy": (greedy, "more memory than any checkpoint needs"),
}


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> tuple[bytes, str]:
    make, words = HOSTILE[request.param]
    return make(), words


def with_pickle(path: Path, body: bytes) -> Path:
    """The same file of torch, with its checksums, and another pickle."""
    with zipfile.ZipFile(path) as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, record in records.items():
            file.writestr(name, body if name.endswith("/data.pkl") else record)
    return path


@pytest.mark.parametrize("name", ["step_9.pt", "ckpt.pt", "epoch=0-step=9.ckpt", "last.ckpt"])
def test_a_file_that_ends_its_reader_is_unsure_and_an_older_one_is_resumed_from(
    tmp_path: Path, hostile: tuple[bytes, str], name: str
) -> None:
    whole = saved.torch_file(tmp_path, STEP)
    body, words = hostile
    path = with_pickle(saved.torch_file(tmp_path, 9).rename(tmp_path / name), body)
    found = survey(FORMATS, tmp_path, 9)
    assert [Path(candidate.path).name for candidate, _ in found] == [name, whole.name]
    looked = ready.look(found, time.monotonic() + 60.0)
    assert [type(verdict) for _, verdict in looked] == [Unsure, Whole]
    assert words in str(looked[0][1])
    choice = choose(looked)
    assert choice.candidate is not None
    assert choice.candidate.path == str(whole)
    assert path.exists(), "what is not proven to be torn stays"


def test_one_that_ends_its_reader_costs_only_itself_among_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(6):
        saved.torch_file(tmp_path, step).rename(tmp_path / f"model-{step}.pt")
    for step in (1, 4):
        with_pickle(tmp_path / f"model-{step}.pt", deep())
    found = {Path(candidate.path).name: candidate.step for candidate, _ in survey(FORMATS, tmp_path, 9)}
    assert found == {f"model-{step}.pt": None if step in (1, 4) else step for step in range(6)}


def test_inside_of_other_formats_it_is_unsure_as_well(tmp_path: Path, hostile: tuple[bytes, str]) -> None:
    body, words = hostile
    trainer = saved.hugging_face(tmp_path / "hf", STEP)
    with_pickle(trainer / "training_args.bin", body)
    distributed = saved.dcp(tmp_path / "dcp", STEP)
    (distributed / ".metadata").write_bytes(body)
    numbered = saved.accelerate_numbered(tmp_path / "accelerate", 3)
    with_pickle(numbered / "optimizer.bin", body)
    states = saved.deepspeed(tmp_path / "zero", STEP)
    with_pickle(states / "mp_rank_00_model_states.pt", body)
    for path in (trainer, distributed, numbered, states):
        verdict = judge(path)
        assert isinstance(verdict, Unsure), path
        assert words in verdict.reasons[0]


def test_a_bare_pickle_that_ends_its_reader_is_unsure(tmp_path: Path) -> None:
    for body in (exploding(), deep()):
        (tmp_path / "step-7.pt").write_bytes(body)
        assert isinstance(judge(tmp_path / "step-7.pt"), Unsure)


def test_a_person_is_told_and_gets_the_rest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved.torch_file(tmp_path, STEP)
    with_pickle(saved.torch_file(tmp_path, 9), deep())
    with_pickle(saved.torch_file(tmp_path, 10), exploding())
    assert main(["checkpoint", "verify", str(tmp_path), "--json"]) == 5
    rows = {row["step"]: row["verdict"] for row in json.loads(capfd.readouterr().out)}
    assert rows == {10: "unsure", 9: "unsure", STEP: "whole"}


# --- the children themselves -----------------------------------------------------------------------------------------


def answers(work: Callable[[int], object], count: int, within_s: float = 20.0) -> list[object]:
    found = apart.each(work, range(count), within_s, object)
    return [each if isinstance(each, apart.Died) else each.value for each in found]


def test_answers_come_in_their_order_and_a_death_is_one_of_them() -> None:
    def work(n: int) -> str:
        if n == 2:
            os.kill(os.getpid(), 9)
        return "x" * n * 100_000

    said = answers(work, 5)
    assert [each if isinstance(each, apart.Died) else len(str(each)) // 100_000 for each in said] == [
        0, 1, apart.Died("whoever reads it is killed: there may be too little memory"), 3, 4,
    ]  # fmt: skip


def test_one_that_blocks_is_ended_when_its_time_is_over() -> None:
    def work(n: int) -> int:
        if n == 1:
            os.read(os.pipe()[0], 1)
        return n

    zero, one, two = answers(work, 3, within_s=0.5)
    assert (zero, two) == (0, 2)
    assert isinstance(one, apart.Died)
    assert "came to no end" in one.why


def test_no_child_is_left_behind_by_one_who_asks_for_the_first_answer_only() -> None:
    found = apart.each(os.getpgid, [0, 0, 0], 20.0, int)
    next(found)
    found.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_reader_in_its_own_process_has_no_limit_set_upon_it() -> None:
    with apart.busy_at_most(0.001):
        assert state.is_weight("model.weight")
    assert pickles.read(b"\x80\x04}.") == ({}, frozenset())
