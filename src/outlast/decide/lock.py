"""Whether a start is still the run that was locked: key by key, with what is to be done about each difference.

What was not read on either side is not locked: never equal, never different. Values that were made in two ways say
nothing about each other. Refuses to know how anything is read.
"""

from collections.abc import Iterator
from typing import Literal

from outlast.decide.endings import CODE_CHANGED, LOCK_CHANGED
from outlast.facts import Fact, Identity, Known, Locking, NotLocked, Trait

CODE = "code"
CHANGED = "changed since the lock: "  # how a warning begins; screens show it
WHOLE_TOKENIZER = (
    "tokenizer.json"  # the other files of a tokenizer say it once more, each library in its own way
)
FIELDS_SHOWN = 4
VALUE_CHARS = 60
Class = Literal["must_match", "warn", "free"]


class Difference(Fact):
    """`fields`: (name, locked, present) of those that differ, "" where there is none."""

    key: str
    class_: Class
    locked: Known
    present: Known
    fields: tuple[tuple[str, str, str], ...] = ()


class Comparison(Fact):
    """`same` and `unknown`: keys; the latter with why they could not be compared."""

    differences: tuple[Difference, ...] = ()
    same: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


class Ruling(Fact):
    """`refuse`: this attempt must not begin, and why. `accepted`: keys whose change a person's word covers: the lock
    takes them over."""

    refuse: str | None
    reasons: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()


def class_of(key: str, locking: Locking) -> Class:
    if key in locking.free:
        return "free"
    if key in locking.warn:
        return "warn"
    return "must_match"


def keys_of(identity: Identity) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for key, _ in identity.traits))


def known(identity: Identity, key: str) -> tuple[Known, ...]:
    """All that is known of a key, what rules first."""
    return tuple(trait for name, trait in identity.traits if name == key and isinstance(trait, Known))


def compare(locked: Identity, present: Identity, locking: Locking) -> Comparison:
    differences, same, unknown = [], [], []
    for key in dict.fromkeys((*keys_of(locked), *keys_of(present))):
        class_ = class_of(key, locking)
        pairs = list(_pairs(known(locked, key), known(present, key)))
        if not pairs:
            unknown.append((key, _why_unknown(locked, present, key)))
            continue
        differing = [(ours, theirs) for ours, theirs in pairs if _differ(ours, theirs)]
        if not differing or class_ == "free":
            same += [key] if not differing else []
            continue
        ours, theirs = differing[0]
        differences.append(Difference(key, class_, ours, theirs, tuple(_fields(ours, theirs))))
    return Comparison(tuple(differences), tuple(same), tuple(unknown))


def rule(run: str, found: Comparison, locking: Locking, *, by_itself: bool) -> Ruling:
    """`by_itself`: nobody asked for this start; a first start, a retry or a resume is a person's own word."""
    refused = [each for each in found.differences if each.class_ == "must_match"]
    if refused:
        lines = "; ".join(f"{told(each)}" for each in refused)
        way_out = (
            f"put back what was changed and `outlast retry {run}`, or `outlast lock accept {run} --reason WHY` "
            f"and retry, or start a new run"
        )
        return Ruling(f"{LOCK_CHANGED}: not what this run was locked to: {lines} ({way_out})")
    code = [each for each in found.differences if each.key == CODE]
    if code and locking.code == "hold" and by_itself:
        way_out = f"`outlast retry {run}` goes on with it; lock.code: warn in outlast.yaml never waits"
        return Ruling(f"{CODE_CHANGED}: {told(code[0])} ({way_out})")
    accepted = tuple(each.key for each in code) if not by_itself else ()
    reasons = tuple(
        f"{CHANGED}{told(each)}" + ", accepted by a person's word" * (each.key in accepted)
        for each in found.differences
    )
    return Ruling(None, reasons, accepted)


def told(difference: Difference) -> str:
    """ "base_model: a3f... -> 99c... (model.safetensors: values changed)" """
    fields = [
        f"{name}: {_short(was)} -> {_short(now)}" for name, was, now in difference.fields[:FIELDS_SHOWN]
    ]
    more = len(difference.fields) - len(fields)
    inside = "; ".join([*fields, *([f"{more} more"] if more > 0 else [])])
    values = f"{_short(difference.locked.value)} -> {_short(difference.present.value)}"
    return f"{difference.key}: {values}" + (f" ({inside})" if inside else "")


def merged(below: Identity, above: Identity) -> Identity:
    """`above` rules key by key and kind by kind; what only `below` knows stays behind it. A key that anybody knows is
    not said to be unknown."""
    traits: list[tuple[str, Trait]] = []
    for key in dict.fromkeys((*keys_of(above), *keys_of(below))):
        found: dict[str, Known] = {}
        for each in (*known(above, key), *known(below, key)):
            found.setdefault(each.kind, each)
        traits += [(key, each) for each in found.values()]
        if not found:
            traits += [pair for pair in (*above.traits, *below.traits) if pair[0] == key][:1]
    return Identity(tuple(traits))


def completed(lock: Identity, later: Identity) -> Identity | None:
    """The lock with the keys that could not be read before; None: there is nothing to add. What it knows stays."""
    missing = [key for key in keys_of(later) if known(later, key) and not known(lock, key)]
    if not missing:
        return None
    added = tuple((key, trait) for key, trait in later.traits if key in missing and isinstance(trait, Known))
    kept = tuple(pair for pair in lock.traits if pair[0] not in missing)
    return Identity((*kept, *added))


def _pairs(locked: tuple[Known, ...], present: tuple[Known, ...]) -> Iterator[tuple[Known, Known]]:
    for ours in locked:
        for theirs in present:
            if ours.kind == theirs.kind and (not _is_fieldwise(ours, theirs) or _common(ours, theirs)):
                yield ours, theirs
                break


def _is_fieldwise(ours: Known, theirs: Known) -> bool:
    return ours.partial or theirs.partial


def _common(ours: Known, theirs: Known) -> set[str]:
    """Fields that both tell; the one alone that says all where both have it."""
    both = set(dict(ours.fields)) & set(dict(theirs.fields))
    return {WHOLE_TOKENIZER} if WHOLE_TOKENIZER in both else both


def _differ(ours: Known, theirs: Known) -> bool:
    if _is_fieldwise(ours, theirs):
        was, now = dict(ours.fields), dict(theirs.fields)
        return any(was[name] != now[name] for name in _common(ours, theirs))
    return ours.value != theirs.value


def _fields(ours: Known, theirs: Known) -> Iterator[tuple[str, str, str]]:
    was, now = dict(ours.fields), dict(theirs.fields)
    counted = _common(ours, theirs) if _is_fieldwise(ours, theirs) else {*was, *now}
    for name in dict.fromkeys((*was, *now)):
        if name in counted and was.get(name) != now.get(name):
            yield name, was.get(name, ""), now.get(name, "")


def _why_unknown(locked: Identity, present: Identity, key: str) -> str:
    for identity, when in ((locked, ""), (present, "now: ")):
        if known(identity, key):
            continue
        whys = [trait.why for name, trait in identity.traits if name == key and isinstance(trait, NotLocked)]
        return f"{when}{whys[0] if whys else 'nothing tells it'}"
    return "it was read in another way than now"


def _short(text: str) -> str:
    if not text:
        return "nothing"
    return text if len(text) <= VALUE_CHARS else f"{text[: VALUE_CHARS - 3]}..."
