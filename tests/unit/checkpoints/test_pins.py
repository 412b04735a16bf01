"""Second copies of verified checkpoints: at most what was asked for, whole, and never of what was not verified."""

import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from outlast.checkpoints import pins
from outlast.disk import copies
from outlast.errors import RefusedError, WorldError
from tests.unit.checkpoints.test_manifest import made_of

MAX = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for step in (5, 7):
        (tmp_path / f"step-{step}").mkdir()
        (tmp_path / f"step-{step}" / "model.safetensors").write_bytes(bytes([step]) * 100)
    return tmp_path


def test_r8_a_pin_outlives_the_checkpoint_and_can_be_put_back(root: Path) -> None:
    pin = pins.pin(root, made_of(root / "step-5"), MAX)
    shutil.rmtree(root / "step-5")
    assert pins.held(root) == [pin]
    assert pins.put_back(root, pin, MAX) == root / "step-5"
    assert (root / "step-5" / "model.safetensors").read_bytes() == bytes([5]) * 100
    assert pins.held(root) == [pin]


def test_it_is_put_back_over_nothing(root: Path) -> None:
    pin = pins.pin(root, made_of(root / "step-5"), MAX)
    with pytest.raises(WorldError, match="nothing is overwritten"):
        pins.put_back(root, pin, MAX)


def test_what_changed_since_it_was_verified_is_not_pinned(root: Path) -> None:
    manifest = made_of(root / "step-5")
    (root / "step-5" / "model.safetensors").write_bytes(b"another save")
    with pytest.raises(RefusedError, match="changed since it was verified"):
        pins.pin(root, manifest, MAX)
    assert pins.held(root) == []
    assert not list((root / ".outlast" / "pins").rglob("*.safetensors"))


def test_pinned_twice_is_pinned_once_and_a_person_s_wish_is_remembered(root: Path) -> None:
    manifest = made_of(root / "step-5")
    first = pins.pin(root, manifest, MAX)
    assert pins.pin(root, manifest, MAX) == first
    assert pins.pin(root, manifest, MAX, by="kim").by == "kim"
    assert pins.pin(root, manifest, MAX).by == "kim"
    assert len(pins.held(root)) == 1


def test_the_same_step_saved_anew_replaces_its_pin(root: Path) -> None:
    pins.pin(root, made_of(root / "step-5"), MAX)
    shutil.rmtree(root / "step-5")
    (root / "step-5").mkdir()
    (root / "step-5" / "model.safetensors").write_bytes(b"anew")
    pin = pins.pin(root, made_of(root / "step-5"), MAX)
    assert pins.held(root) == [pin]
    assert (pins.path_of(root, pin) / "model.safetensors").read_bytes() == b"anew"


def test_a_dropped_pin_takes_nothing_of_the_checkpoint_with_it(root: Path) -> None:
    pins.pin(root, made_of(root / "step-5"), MAX)
    pins.drop(root, made_of(root / "step-5"))
    assert pins.held(root) == []
    assert (root / "step-5" / "model.safetensors").read_bytes() == bytes([5]) * 100
    assert os.listdir(root / ".outlast" / "trash") == []


def test_pins_are_listed_newest_step_first_and_a_damaged_record_is_none(root: Path) -> None:
    for step in (5, 7):
        pins.pin(root, replace(made_of(root / f"step-{step}"), step=step), MAX)
    assert [pin.manifest.step for pin in pins.held(root)] == [7, 5]
    (root / ".outlast" / "pins" / "7" / "step-7.json").write_text("{")
    assert [pin.manifest.step for pin in pins.held(root)] == [5]


def test_a_single_file_is_never_linked(tmp_path: Path) -> None:
    file = tmp_path / "ckpt.pt"
    file.write_bytes(b"step 100")
    pin = pins.pin(tmp_path, made_of(file), MAX)
    assert pin.how in (copies.COPIED, copies.CLONED)
    file.write_bytes(b"step 200, in place")
    assert pins.path_of(tmp_path, pin).read_bytes() == b"step 100"


def test_one_that_is_too_large_to_be_copied_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ckpt.pt"
    file.write_bytes(b"step 100")
    with pytest.raises(copies.NoRoom):
        pins.pin(tmp_path, made_of(file), 3)
    assert pins.held(tmp_path) == []


def test_a_copy_whose_maker_was_killed_before_he_said_what_it_is_goes(root: Path) -> None:
    pins.pin(root, made_of(root / "step-5"), MAX)
    (root / ".outlast" / "pins" / "4" / "step-4").mkdir(parents=True)
    (root / ".outlast" / "pins" / "5" / ".step-5.next").mkdir()
    pins.sweep(root)
    assert os.listdir(root / ".outlast" / "pins" / "4") == []
    assert sorted(os.listdir(root / ".outlast" / "pins" / "5")) == ["step-5", "step-5.json"]


def test_two_files_of_one_step_have_a_copy_each(tmp_path: Path) -> None:
    for name in ("model-step-5.pt", "optim-step-5.pt"):
        (tmp_path / name).write_bytes(name.encode())
        pins.pin(tmp_path, made_of(tmp_path / name), MAX, by="kim")
    assert [pins.path_of(tmp_path, pin).read_bytes() for pin in pins.held(tmp_path)] == [
        b"optim-step-5.pt",
        b"model-step-5.pt",
    ]


def test_what_a_person_pinned_is_not_replaced_by_a_new_save_of_the_same_step(root: Path) -> None:
    pins.pin(root, made_of(root / "step-5"), MAX, by="kim")
    shutil.rmtree(root / "step-5")
    (root / "step-5").mkdir()
    (root / "step-5" / "model.safetensors").write_bytes(b"anew")
    with pytest.raises(RefusedError, match="kim has pinned what stood there before"):
        pins.pin(root, made_of(root / "step-5"), MAX)
    (pin,) = pins.held(root)
    assert (pins.path_of(root, pin) / "model.safetensors").read_bytes() == bytes([5]) * 100


def test_a_new_copy_that_cannot_be_made_takes_the_old_one_from_nobody(tmp_path: Path) -> None:
    file = tmp_path / "ckpt.pt"
    file.write_bytes(b"step 5")
    pins.pin(tmp_path, made_of(file), MAX)
    file.write_bytes(b"step 5 again, and larger")
    with pytest.raises(copies.NoRoom):
        pins.pin(tmp_path, made_of(file), 10)
    (pin,) = pins.held(tmp_path)
    assert pins.path_of(tmp_path, pin).read_bytes() == b"step 5"
