"""What a start is measured by: equal, different, or not locked, and what follows from each class of keys."""

from typing import Any

import pytest
from msgspec.structs import replace

from outlast.decide.lock import compare, completed, keys_of, known, merged, rule, told
from outlast.facts import Identity, Known, Locking, NotLocked, Trait

LOCKING = Locking(given=())
RUN = "r-20260101-000000"


def value(text: str, kind: str = "value", **more: Any) -> Known:
    return Known(text, kind, "the command", **more)


def identity(**traits: Trait) -> Identity:
    return Identity(tuple(traits.items()))


def fields(**said: str) -> Known:
    return Known(", ".join(said.values()), "lora", "adapter_config.json", tuple(said.items()), partial=True)


@pytest.mark.parametrize(
    "key", ["base_model", "tokenizer", "architecture", "max_length", "lora", "lineage", "dialect"]
)
def test_what_must_match_and_does_not_is_refused_with_both_values_and_the_way_out(key: str) -> None:
    found = compare(identity(**{key: value("2048")}), identity(**{key: value("4096")}), LOCKING)
    for by_itself in (True, False):
        ruling = rule(RUN, found, LOCKING, by_itself=by_itself)
        assert ruling.refuse is not None
        assert ruling.refuse.startswith(f"lock_changed: not what this run was locked to: {key}: 2048 -> 4096")
        assert f"outlast lock accept {RUN}" in ruling.refuse


@pytest.mark.parametrize("key", ["data", "versions", "seed", "world_size", "arguments"])
def test_what_only_warns_is_shown_and_nothing_more(key: str) -> None:
    found = compare(identity(**{key: value("1")}), identity(**{key: value("2")}), LOCKING)
    ruling = rule(RUN, found, LOCKING, by_itself=True)
    assert (ruling.refuse, ruling.accepted) == (None, ())
    assert ruling.reasons == (f"changed since the lock: {key}: 1 -> 2",)


def test_what_is_free_may_change_unseen() -> None:
    free = replace(LOCKING, must_match=(), free=("max_length",))
    found = compare(identity(max_length=value("1")), identity(max_length=value("2")), free)
    assert (found.differences, found.same) == ((), ())


def test_a_person_may_put_a_key_into_another_class() -> None:
    strict = replace(LOCKING, must_match=("seed",), warn=())
    found = compare(identity(seed=value("1")), identity(seed=value("2")), strict)
    assert rule(RUN, found, strict, by_itself=False).refuse is not None


@pytest.mark.parametrize(
    ("locked", "present", "why"),
    [
        (NotLocked("no config.json"), value("a"), "no config.json"),
        (value("a"), NotLocked("it is not there"), "now: it is not there"),
        (None, value("a"), "nothing tells it"),
        (value("a", "files of the checkpoint"), value("b", "files"), "it was read in another way than now"),
    ],
)
def test_what_was_not_read_on_both_sides_in_one_way_is_neither_equal_nor_different(
    locked: Trait | None, present: Trait, why: str
) -> None:
    was = Identity(()) if locked is None else identity(tokenizer=locked)
    found = compare(was, identity(tokenizer=present), LOCKING)
    assert (found.differences, found.same) == ((), ())
    assert found.unknown == (("tokenizer", why),)
    assert rule(RUN, found, LOCKING, by_itself=True).refuse is None


def test_of_what_is_compared_field_by_field_only_what_both_sides_tell_counts() -> None:
    locked = identity(lora=fields(r="8", alpha="16", targets="q_proj"))
    assert compare(locked, identity(lora=fields(r="8")), LOCKING).same == ("lora",)
    (found,) = compare(locked, identity(lora=fields(r="16", dropout="0")), LOCKING).differences
    assert found.fields == (("r", "8", "16"),)
    assert compare(locked, identity(lora=fields(dropout="0")), LOCKING).unknown[0][0] == "lora"


@pytest.mark.parametrize(
    ("now", "differ"),
    [
        ({"tokenizer.json": "t", "vocab.json": "v"}, None),
        ({"tokenizer.json": "t", "special_tokens_map.json": "other"}, None),
        ({"tokenizer.json": "other", "special_tokens_map.json": "s"}, ("tokenizer.json",)),
        ({"special_tokens_map.json": "other", "vocab.json": "v"}, ("special_tokens_map.json",)),
    ],
)
def test_a_tokenizer_is_its_whole_file_or_else_the_files_that_both_have(
    now: dict[str, str], differ: tuple[str, ...] | None
) -> None:
    """An upgrade of a library saves other files beside it, or the same ones in other words."""
    was = identity(tokenizer=fields(**{"tokenizer.json": "t", "special_tokens_map.json": "s"}))
    found = compare(was, identity(tokenizer=fields(**now)), LOCKING)
    if differ is None:
        assert (found.same, found.differences) == (("tokenizer",), ())
    else:
        (difference,) = found.differences
        assert tuple(name for name, _, _ in difference.fields) == differ


def test_a_difference_names_what_in_it_differs() -> None:
    locked = value("aa", fields=(("header", "h"), ("values", "v1")))
    present = value("bb", fields=(("header", "h"), ("values", "v2")))
    (found,) = compare(identity(base_model=locked), identity(base_model=present), LOCKING).differences
    assert told(found) == "base_model: aa -> bb (values: v1 -> v2)"


def test_a_key_that_two_sources_tell_is_compared_with_its_like() -> None:
    locked = Identity(
        (("tokenizer", value("a", "files")), ("tokenizer", value("x", "files of the checkpoint")))
    )
    present = Identity(
        (("tokenizer", value("x", "files of the checkpoint")), ("tokenizer", value("b", "files")))
    )
    (found,) = compare(locked, present, LOCKING).differences
    assert (found.locked.value, found.present.value) == ("a", "b")


# --- code -------------------------------------------------------------------------------------------------------------


def test_p9_changed_code_holds_a_restart_by_itself_and_a_person_takes_it_over() -> None:
    found = compare(identity(code=value("a")), identity(code=value("b")), LOCKING)
    held = rule(RUN, found, LOCKING, by_itself=True)
    assert held.refuse is not None
    assert held.refuse.startswith("code-changed: code: a -> b")
    assert f"outlast retry {RUN}" in held.refuse
    taken = rule(RUN, found, LOCKING, by_itself=False)
    assert (taken.refuse, taken.accepted) == (None, ("code",))
    assert taken.reasons == ("changed since the lock: code: a -> b, accepted by a person's word",)


def test_changed_code_only_warns_where_a_person_wants_it_so() -> None:
    warns = replace(LOCKING, code="warn")
    found = compare(identity(code=value("a")), identity(code=value("b")), warns)
    assert rule(RUN, found, warns, by_itself=True).refuse is None


def test_code_that_must_match_is_refused_whoever_asks() -> None:
    strict = replace(LOCKING, must_match=("code",), warn=())
    found = compare(identity(code=value("a")), identity(code=value("b")), strict)
    assert str(rule(RUN, found, strict, by_itself=False).refuse).startswith("lock_changed")


def test_what_must_match_is_said_before_changed_code() -> None:
    was, now = identity(code=value("a"), lora=fields(r="8")), identity(code=value("b"), lora=fields(r="9"))
    assert str(rule(RUN, compare(was, now, LOCKING), LOCKING, by_itself=True).refuse).startswith(
        "lock_changed"
    )


# --- putting identities together --------------------------------------------------------------------------------------


def test_of_two_sources_of_one_kind_the_upper_rules_and_what_is_known_outdoes_what_is_not() -> None:
    below = identity(seed=value("1"), data=value("d"), lora=NotLocked("nothing tells it"))
    above = identity(seed=value("2"), data=NotLocked("gone"))
    found = merged(below, above)
    assert {key: [each.value for each in known(found, key)] for key in keys_of(found)} == {
        "seed": ["2"], "data": ["d"], "lora": [],
    }  # fmt: skip


def test_a_lock_is_completed_by_what_it_could_not_read_and_never_changed() -> None:
    lock = identity(seed=value("1"), base_model=NotLocked("not in the cache yet"))
    later = identity(seed=value("2"), base_model=value("abc"), data=NotLocked("gone"))
    found = completed(lock, later)
    assert found is not None
    assert [known(found, key)[0].value for key in ("seed", "base_model")] == ["1", "abc"]
    assert completed(found, later) is None
