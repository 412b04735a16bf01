"""Checkpoints that are hard to look at: many files, huge ones, ones of others, links in circles and to nothing."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.isolated import Isolated
from outlast.checkpoints.parts import listing, one_file
from outlast.decide.resume import choose
from outlast.facts import Candidate, Torn, Unsure, Verdict, Whole
from outlast.work import ready
from outlast.work.survey import survey
from tests.contract import saved
from tests.contract.test_checkpoint_damage import STEP, judge
from tests.unit.disk.faults import as_nobody, in_child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LATER = 9
Save = Callable[[Path, int], Path]
MEMORY_MB, MANY, WITHIN_S = 200, 200_000, 80.0

# Of each there is one that is whole; a later one stands beside it, by the same naming.
SAVES: dict[str, Save] = {
    "hf": saved.hugging_face,
    "accelerate": saved.accelerate,
    "accelerate, numbered": saved.accelerate_numbered,
    "deepspeed": saved.deepspeed,
    "orbax": saved.orbax,
    "dcp": saved.dcp,
    "lightning": saved.lightning,
    "torch": saved.torch_file,
}


@pytest.fixture(params=SAVES)
def save(request: pytest.FixtureRequest) -> Save:
    return SAVES[request.param]


def looked_at(root: Path) -> list[tuple[Candidate, Verdict]]:
    return ready.look(survey(FORMATS, root, 99), time.monotonic() + 60.0)


def chosen(root: Path) -> str | None:
    choice = choose(looked_at(root))
    return choice.candidate.path if choice.candidate is not None else None


# --- many, and huge --------------------------------------------------------------------------------------------------


def many_files(path: Path, count: int) -> None:
    for folder in range(count // 500):
        (path / f"part-{folder}").mkdir(parents=True)
        for n in range(500):
            (path / f"part-{folder}" / f"{n}.bin").write_bytes(b"\x80\x04K\x07." if n % 2 else b"numbers")


def test_a_checkpoint_of_more_files_than_can_be_looked_at_is_unsure_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FILES_MAX", 900)
    many_files(tmp_path / "step-7", 1000)
    assert judge(tmp_path / "step-7") == Unsure(("it has more than 900 files",))
    (tmp_path / "step-7" / "part-1" / "0.bin").unlink()
    monkeypatch.setattr(listing, "FILES_MAX", 999)
    assert isinstance(judge(tmp_path / "step-7"), Whole)


def test_of_many_small_files_each_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    check = one_file.check

    def counted(path: str, *others: Any) -> object:
        opened.append(path)
        return check(path, *others)

    monkeypatch.setattr(listing, "check", counted)
    many_files(tmp_path / "step-7", 500)
    ((candidate, format_),) = survey(FORMATS, tmp_path, 9)
    assert isinstance(format_, Isolated)
    assert isinstance(format_.format.inspect(candidate, 2, 60.0), Whole), (
        "in this process, where it is counted"
    )
    assert len(opened) == 500


@pytest.mark.soak
def test_a_checkpoint_of_two_hundred_thousand_files_is_judged_in_the_time_of_a_start(tmp_path: Path) -> None:
    many_files(tmp_path / "step-7", MANY)
    verdict, taken_s, grown_kb = in_child(lambda: measured(tmp_path / "step-7"))
    assert isinstance(verdict, Whole)
    assert taken_s < WITHIN_S
    assert grown_kb < MEMORY_MB << 10


def measured(path: Path) -> tuple[Verdict, float, int]:
    """In a process of its own: with its verdict the seconds that it took, and by how much its reader's memory grew."""
    before_kb = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 10
    began_s = time.monotonic()
    verdict = judge(path, within_s=WITHIN_S)
    taken_s = time.monotonic() - began_s
    return verdict, taken_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before_kb


def test_fifty_gigabytes_that_are_mostly_holes_are_read_as_far_as_the_time_reaches(tmp_path: Path) -> None:
    header = b'{"weight":{"dtype":"F32","shape":[13421772800],"data_offsets":[0,53687091200]}}'
    path = tmp_path / "step-7.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + (50 << 30))
    began_s = time.monotonic()
    verdict = judge(path, within_s=1.0)
    assert time.monotonic() - began_s < 10.0
    assert isinstance(verdict, Whole)
    assert (verdict.level, verdict.finite) == (0, None)
    assert "not all was read" in verdict.notes[0]
    assert judge(path, level=0) == Whole(0)


def test_a_whole_file_with_fifty_gigabytes_of_nothing_behind_it_is_torn_at_once(tmp_path: Path) -> None:
    for path in (
        saved.torch_file(tmp_path, 1),
        saved.lightning(tmp_path, 2),
        saved.safetensors_file(tmp_path, 3),
    ):
        os.truncate(path, 50 << 30)
        assert isinstance(judge(path, within_s=5.0), Torn), path.name
    zero = saved.deepspeed(tmp_path / "zero", STEP)
    os.truncate(zero / "zero_pp_rank_1_mp_rank_00_optim_states.pt", 50 << 30)
    assert isinstance(judge(zero, within_s=5.0), Torn)
    orbax = saved.orbax(tmp_path / "orbax", STEP)
    os.truncate(orbax / "default" / "manifest.ocdbt", 50 << 30)
    assert isinstance(judge(orbax, within_s=5.0), Unsure), "so large an index is not read"


# --- of others -------------------------------------------------------------------------------------------------------


def test_a_newer_one_that_may_not_be_read_is_unsure_and_an_older_one_is_resumed_from(
    save: Save, common_ground: Path
) -> None:
    whole, hidden = save(common_ground, STEP), save(common_ground, LATER)
    for file in saved.files_of(whole.parent):
        file.chmod(0o644)  # some are their owner's only
    hidden.chmod(0)
    try:
        looked = as_nobody(lambda: looked_at(whole.parent))
    finally:
        hidden.chmod(0o700)
    assert [(candidate.path, type(verdict)) for candidate, verdict in looked] == [
        (str(hidden), Unsure),
        (str(whole), Whole),
    ]
    assert "Permission denied" in str(looked[0][1])


def test_a_part_that_may_not_be_read_makes_it_unsure(save: Save, common_ground: Path) -> None:
    path = save(common_ground, STEP)
    for file in saved.files_of(path):
        if file.suffix in (".bin", ".pt", ".safetensors", ".distcp", ".ckpt", ".ocdbt"):
            file.chmod(0)
    verdict = as_nobody(lambda: judge(path))
    assert isinstance(verdict, Unsure), verdict
    assert "Permission denied" in verdict.reasons[0]


# --- links -----------------------------------------------------------------------------------------------------------


def test_links_in_circles_beside_a_checkpoint_and_inside_of_it_end_nowhere(
    save: Save, tmp_path: Path
) -> None:
    path = save(tmp_path, STEP)
    name = path.name.replace(str(STEP), str(LATER)).replace("000009", "000099")
    (path.parent / name).symlink_to(name)
    (path.parent / "here").symlink_to(".")
    if path.is_dir():
        (path / "circle").symlink_to(path)
        (path / "up").symlink_to("..")
    assert chosen(path.parent) == str(path)


@pytest.mark.parametrize("name", ["last.ckpt", "latest", "latest.pt", "step-99", "checkpoint-99", "99"])
def test_a_link_to_one_that_was_rotated_away_hides_no_other(save: Save, tmp_path: Path, name: str) -> None:
    path = save(tmp_path, STEP)
    (path.parent / name).unlink(missing_ok=True)
    (path.parent / name).symlink_to("epoch=0-step=99.ckpt")
    assert chosen(path.parent) == str(path)


def test_a_link_to_a_whole_one_is_as_good_as_the_one_itself(tmp_path: Path) -> None:
    path = saved.lightning(tmp_path, STEP)
    (tmp_path / "last.ckpt").symlink_to(path.name)
    taken = chosen(tmp_path)
    assert taken is not None
    assert os.path.realpath(taken) == str(path)
