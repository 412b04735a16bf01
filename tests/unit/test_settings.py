"""outlast.yaml: what is accepted, and how every mistake is told."""

import os
from pathlib import Path

import pytest

from outlast import settings
from outlast.decide.lock import class_of
from outlast.errors import RefusedError, UserError, WorldError
from outlast.facts import Locking
from outlast.facts.locking import KEYS


def load(tmp_path: Path, text: str | bytes) -> settings.Settings:
    path = tmp_path / "outlast.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return settings.load(str(path))


def complaint(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(UserError) as raised:
        load(tmp_path, text)
    assert str(tmp_path / "outlast.yaml") in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1.5h", 5400),
        ("500ms", 0.5),
    ],
)
def test_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert settings.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5 parsecs", "5m?", "1:30", "1e3", "inf", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        settings.seconds(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("7b", 7),
        ("1.5 kib", 1536),
        ("3KB", 3_000),
        ("500MB", 500_000_000),
        ("2MiB", 2 << 20),
        ("4gb", 4_000_000_000),
        ("1GiB", 1 << 30),
        ("1TB", 10**12),
        ("1TiB", 1 << 40),
    ],
)
def test_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert settings.size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1XB", "one"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        settings.size(text)


def test_without_a_file_every_value_is_the_default(tmp_path: Path) -> None:
    found = settings.load(str(tmp_path / "outlast.yaml"))
    assert found._replace(origins=()) == settings.Settings()
    assert {origin for _, origin in found.origins} == {"default"}


@pytest.mark.parametrize("text", ["", "# only words\n", "---\n", "limits:\n", "limits: {stall: }\n"])
def test_an_empty_file_or_section_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text)._replace(origins=()) == settings.Settings()


def test_every_key_reaches_its_value_and_names_its_line(tmp_path: Path) -> None:
    text = (
        "slots: {count: 4}\n"
        "limits:\n  attempts: 7\n  backoff: 5s\n  stop_grace: 1m\n  stop_limit: 20m\n"
        "  stall: {train: auto, eval: 30m}\n"
        "log: {max: 2GiB}\n"
        "lock:\n  must_match: [base_model, seed]\n  code: warn\n"
    )
    found = load(tmp_path, text)
    assert found._replace(origins=()) == settings.Settings(
        slots_count=4,
        attempts=7,
        backoff_s=5.0,
        stop_grace_s=60.0,
        stop_limit_s=1200.0,
        stall_limits_s=(("eval", 1800.0),),
        log_bytes_max=2 << 30,
        lock_must_match=("base_model", "seed"),
        lock_warn=(
            "data",
            "code",
            "versions",
            "world_size",
            "arguments",
            "tokenizer",
            "architecture",
            "max_length",
            "lora",
            "lineage",
        ),
        lock_code="warn",
    )
    origins = {key: origin.rpartition(":")[2] for key, origin in found.origins}
    assert origins["slots.count"] == "1"
    assert origins["limits.stop_limit"] == "6"
    assert origins["limits.stall.eval"] == "7"
    assert settings.value_of(found, "limits.stall.train") == "auto"


def classes(tmp_path: Path, text: str) -> dict[str, str]:
    found = load(tmp_path, text)
    locking = Locking((), found.lock_must_match, found.lock_warn, found.lock_free)
    return {key: class_of(key, locking) for key in (*KEYS, "dialect")}


def test_must_match_can_be_narrowed_and_what_it_leaves_out_only_warns(tmp_path: Path) -> None:
    found = classes(tmp_path, "lock: {must_match: [base_model], free: [lora]}\n")
    assert {key for key, class_ in found.items() if class_ == "must_match"} == {"base_model", "dialect"}
    assert {key for key, class_ in found.items() if class_ == "free"} == {"lora"}
    assert "must_match" not in {
        class_ for key, class_ in classes(tmp_path, "lock: {must_match: []}\n").items() if key != "dialect"
    }
    shown = load(tmp_path, "lock:\n  must_match: [base_model]\n")
    assert "tokenizer" in settings.value_of(shown, "lock.warn"), "`config show` shows what counts"
    assert dict(shown.origins)["lock.warn"].endswith(":2")
    assert dict(shown.origins)["lock.free"] == "default"


def test_a_list_of_ones_own_makes_no_key_stricter_that_it_leaves_out(tmp_path: Path) -> None:
    found = classes(tmp_path, "lock: {warn: [max_length]}\n")
    assert {found["max_length"], found["seed"], found["code"]} == {"warn"}
    assert {found["base_model"], found["lora"]} == {"must_match"}


def test_every_known_key_can_be_shown(tmp_path: Path) -> None:
    found = settings.load(str(tmp_path / "none"))
    for key, _ in found.origins:
        settings.value_of(found, key)


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ("limits:\n  atempts: 3\n", 2, "limits.attempts"),
        ("\nlimit: {attempts: 3}\n", 2, "limits"),
        ("slots:\n\n  counts: 2\n", 3, "slots.count"),
        ("lock: {must: [seed]}\n", 1, "lock.must_match"),
        ("zzz: 1\n", 1, "slots, limits, log, retention, pins, lock"),
    ],
)
def test_unknown_key_is_named_with_its_line_and_the_nearest(
    tmp_path: Path, text: str, line: int, near: str
) -> None:
    said = complaint(tmp_path, text)
    assert f"outlast.yaml:{line}:" in said
    assert "unknown key" in said
    assert near in said


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("limits: {attempts: many}\n", 1, "limits.attempts"),
        ("limits:\n  attempts: 0\n", 2, "limits.attempts"),
        ("limits:\n  attempts: 1.5\n", 2, "limits.attempts"),
        ("limits:\n  attempts: [3]\n", 2, "limits.attempts"),
        ("limits:\n  attempts:\n", 2, "limits.attempts"),
        ("limits:\n  stop_grace: yes\n", 2, "limits.stop_grace"),
        ("limits:\n  stall: 30m\n", 2, "limits.stall"),
        ("limits:\n  stall:\n    eval: soon\n", 3, "limits.stall.eval"),
        ("limits:\n  stall:\n    eval: 0s\n", 3, "limits.stall.eval: '0s' is no limit"),
        ("log: {max: big}\n", 1, "log.max"),
        ("lock:\n  warn: seed\n", 2, "lock.warn: a list of names"),
        ("lock:\n  warn: [Seed]\n", 2, "lock.warn: 'Seed' is no key"),
        ("lock:\n  warn: [seed]\n  free: [seed]\n", 3, "seed stands in lock.warn and in lock.free"),
        ("lock:\n  warn: [seed, seed]\n", 2, "seed stands in lock.warn twice: keep one"),
        ("lock:\n  code: stop\n", 2, "lock.code: 'stop' is neither hold nor warn"),
        ("slots: 3\n", 1, "slots"),
        ("- slots\n", 1, "mapping"),
        ("just words\n", 1, "mapping"),
    ],
)
def test_wrong_type_is_named_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    said = complaint(tmp_path, text)
    assert f"outlast.yaml:{line}:" in said
    assert key in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\nb: 2\n", 2),
        ("limits: {attempts: 3\n", 2),
        ("\tlimits: 3\n", 1),
        (b"# caf\xe9\nlimits: {attempts: 3}\n", 1),
        (b"ok: 1\nx: \xff\xfe\n", 2),
        ("slots: {count: 1}\n---\nslots: {count: 2}\n", 2),
        ("slots: !!python/object/apply:os.system ['true']\n", 1),
        ("limits: {attempts: 3, attempts: 4}\n", 1),
        ("? [a, b]\n: 1\n", 1),
    ],
)
def test_what_is_no_configuration_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int) -> None:
    assert f"outlast.yaml:{line}:" in complaint(tmp_path, text)


def test_a_complaint_is_one_line(tmp_path: Path) -> None:
    assert "\n" not in complaint(tmp_path, "a: [1\nb: 2\n")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_obeyed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "outlast.yaml"
    path.write_text("slots: {count: 4}\n")
    path.chmod(mode)
    with pytest.raises(RefusedError, match="chmod go-w"):
        settings.load(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "outlast.yaml"
    path.write_text("slots: {count: 4}\n")
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(RefusedError, match="uid 12345"):
        settings.load(str(path))


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "outlast.yaml").mkdir()
    with pytest.raises((UserError, WorldError), match=r"outlast\.yaml"):
        settings.load(str(tmp_path / "outlast.yaml"))


def test_a_fifo_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "outlast.yaml", 0o600)
    with pytest.raises(UserError, match="not a file"):
        settings.load(str(tmp_path / "outlast.yaml"))
