"""What a checkpoint was when it was verified, and whether it still is."""

import os
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline
from outlast.disk.layout import RunFolder
from outlast.facts import Manifest, Moment, RunId, Torn, Unsure, Whole


def made_of(path: Path) -> Manifest:
    return Manifest(
        run=RunId("a-1"),
        attempt=1,
        path=str(path),
        format="folder",
        step=5,
        level=1,
        finite=True,
        at=Moment("b", 0.0, 0.0),
        files=manifests.hashed(str(path), Deadline(60.0)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "step-5"
    made.mkdir()
    (made / "model.safetensors").write_bytes(b"m" * 100)
    (made / "optimizer.pt").write_bytes(b"o" * 100)
    (made / "config.json").write_bytes(b"{}")
    return made


def rewrite(path: Path, body: bytes, *, later_ns: int = 10**9) -> None:
    """As a new save does it: other bytes, a later time."""
    found = path.stat()
    path.write_bytes(body)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + later_ns))


def judged(manifest: Manifest, path: Path, verdict: Any = None) -> Any:
    return manifests.judged(verdict or Whole(0, finite=True), manifest, str(path), 60.0)


def test_what_is_unchanged_has_its_content_proven_though_it_has_no_checksum(folder: Path) -> None:
    assert judged(made_of(folder), folder) == Whole(1, finite=True)


def test_r3_one_bit_in_one_of_its_files_is_torn(folder: Path) -> None:
    manifest = made_of(folder)
    rewrite(folder / "model.safetensors", b"m" * 99 + b"n")
    verdict = judged(manifest, folder)
    assert isinstance(verdict, Torn)
    assert "model.safetensors: other bytes than were verified; optimizer.pt: untouched" in verdict.reasons[0]


def test_a_bit_that_nobody_wrote_is_torn_even_in_a_single_file(tmp_path: Path) -> None:
    file = tmp_path / "step-5.safetensors"
    file.write_bytes(b"m" * 100)
    manifest = made_of(file)
    rewrite(file, b"m" * 99 + b"n", later_ns=0)
    verdict = judged(manifest, file)
    assert isinstance(verdict, Torn)
    assert "nobody wrote there since" in verdict.reasons[0]


def test_a_single_file_that_was_saved_anew_is_what_its_format_says(tmp_path: Path) -> None:
    file = tmp_path / "ckpt.pt"
    file.write_bytes(b"m" * 100)
    manifest = made_of(file)
    rewrite(file, b"n" * 120)
    assert judged(manifest, file) == Whole(0, finite=True, notes=("saved anew since it was verified",))


def test_a_folder_that_was_saved_anew_as_a_whole_is_what_its_format_says(folder: Path) -> None:
    manifest = made_of(folder)
    rewrite(folder / "model.safetensors", b"x" * 100)
    rewrite(folder / "optimizer.pt", b"y" * 100)
    assert judged(manifest, folder).notes == ("saved anew since it was verified",)


def test_a_part_that_is_gone_is_torn(folder: Path) -> None:
    manifest = made_of(folder)
    (folder / "optimizer.pt").unlink()
    verdict = judged(manifest, folder)
    assert isinstance(verdict, Torn)
    assert "optimizer.pt: verified once, and not there now" in verdict.reasons[0]


def test_what_only_accompanies_the_weights_may_change(folder: Path) -> None:
    manifest = made_of(folder)
    (folder / "config.json").write_text('{"edited": true}')
    (folder / "README.md").write_text("new")
    assert judged(manifest, folder).notes == ("config.json: changed since it was verified",)


def test_one_that_is_cut_while_it_is_compared_ends_no_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = made_of(folder)

    def cut(*_: object) -> None:
        raise Broken("it ends at byte 7")

    monkeypatch.setattr(manifests, "_hash", cut)
    assert judged(manifest, folder).notes == ("not compared with its manifest: it ends at byte 7",)


def test_a_verdict_that_is_not_whole_stays_as_it_is(folder: Path) -> None:
    assert judged(made_of(folder), folder, Unsure(("x",))) == Unsure(("x",))


def test_where_the_time_does_not_reach_the_verdict_stands_and_says_so(folder: Path) -> None:
    verdict = manifests.judged(Whole(0), made_of(folder), str(folder), -1.0)
    assert isinstance(verdict, Whole)
    assert verdict.level == 0
    assert "not compared with its manifest" in verdict.notes[0]


def test_a_file_that_changes_while_it_is_read_has_no_hash(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = manifests._hash

    def meanwhile(path: str, deadline: Deadline) -> str:
        found = read(path, deadline)
        rewrite(folder / "model.safetensors", b"z" * 10)
        return found

    monkeypatch.setattr(manifests, "_hash", meanwhile)
    with pytest.raises(Unknown, match="changed while it was read"):
        manifests.hashed(str(folder), Deadline(60.0))


def test_a_manifest_is_of_its_own_path_only_and_a_damaged_one_proves_nothing(
    tmp_path: Path, folder: Path
) -> None:
    run = RunFolder(str(tmp_path / "run"))
    manifest = made_of(folder)
    manifests.write(run, manifest)
    assert manifests.of(run, 5, str(folder)) == manifest
    assert manifests.of(run, 5, str(tmp_path / "other")) is None
    Path(run.manifest(5)).write_text("{")
    assert manifests.of(run, 5, str(folder)) is None


def test_a_link_to_nothing_and_a_pipe_are_none_of_its_files(folder: Path) -> None:
    before = manifests.marks(str(folder))
    (folder / "dangling").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    assert manifests.marks(str(folder)) == before


def test_a_save_of_the_same_step_with_some_equal_parts_is_whole(folder: Path) -> None:
    """A scheduler's state, or arguments, have the same bytes each time."""
    manifest = made_of(folder)
    rewrite(folder / "model.safetensors", b"x" * 100)
    rewrite(folder / "optimizer.pt", b"o" * 100)
    assert judged(manifest, folder).notes == ("saved anew since it was verified",)


def test_files_of_one_step_have_their_manifests_beside_each_other(tmp_path: Path, folder: Path) -> None:
    run, other = RunFolder(str(tmp_path / "run")), tmp_path / "optim-step-5.pt"
    other.write_bytes(b"o")
    for path in (folder, other):
        manifests.write(run, made_of(path))
    assert [each.path for each in manifests.at(run, 5)] == [str(folder), str(other)]
    manifests.keep(run, 5, [made_of(other)])
    assert manifests.of(run, 5, str(folder)) is None


def test_what_is_written_beside_the_weights_is_no_new_save(folder: Path) -> None:
    manifest = made_of(folder)
    (folder / "eval_results.json").write_text("{}")
    rewrite(folder / "config.json", b"{ }")
    assert not manifests.has_new_payload(manifest, made_of(folder).files)
    rewrite(folder / "optimizer.pt", b"o" * 100)
    assert manifests.has_new_payload(manifest, made_of(folder).files)
