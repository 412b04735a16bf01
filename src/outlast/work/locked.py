"""Keeps a run what it was when it made its first checkpoint: makes its lock, and looks before each start.

    runs/RUN/attempts/NNNN/identity.json   what this start is made of, read before it begins; who asked for it
    runs/RUN/attempts/NNNN/locked.json     what the training said itself (`run.lock(...)`)
    runs/RUN/lock.json                     made once: the identity of the attempt that made the first checkpoint
    runs/RUN/lock.0002.json, ...           the same with what was accepted later, or could be read only then

Only an attempt that began can have made a checkpoint: one that was refused teaches nothing. Knows where these lie and
in which order they are made. Refuses to rule: that is `decide/lock`.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from outlast.checkpoints.lock import declared, hashes, hub
from outlast.checkpoints.parts.reading import Deadline
from outlast.decide.lock import Comparison, class_of, compare, completed, keys_of, known, merged, rule, told
from outlast.disk import files
from outlast.disk.clock import moment
from outlast.disk.layout import ATTEMPT, AttemptFolder, RunFolder
from outlast.errors import Damaged, WorldError
from outlast.facts import Identity, Known, Lock, Moment, NotLocked, Order, Spec, Trait
from outlast.facts.codec import from_record, to_record
from outlast.work.identity import FROM_PATHS, Subject, plain, read

SCHEMA = 1
WITHIN_S = 10.0  # for reading all of it; what is late is not locked
TIMES_MAX = 20  # that a version is tried which others make first
VERSIONS_MAX = 10_000
OF_THE_COMMAND = ("code", "versions", "world_size", "arguments", "seed")  # what only a start knows
UNREAD = "locked, and could not be read now: "  # how a warning begins; screens show it
TOLD = "run.lock in attempt "  # how the source begins of what a training said itself
PUT_OFF = "not held against a start that a person asked for: "  # what the script said last; screens show it
DROPPED = "dropped from the lock by a person: "  # why a key is not locked that once was
MISSING = "missing"  # how the refusal of a start begins whose files are not there: perhaps they come back


class Looked(NamedTuple):
    """`refuse`: this attempt must not begin, and why."""

    reasons: tuple[str, ...] = ()
    refuse: str | None = None


def look(folder: AttemptFolder, order: Order, checkpoint: str | None) -> Looked:
    """Before the start of attempt `folder`, which is to resume from `checkpoint`. Raises WorldError."""
    run = folder.run()
    spec = spec_of(run)
    present = present_of(run, spec, checkpoint or "", before=folder.n)
    files.replace(folder.identity, {"schema": SCHEMA, "by_itself": order.by_itself, **to_record(present)})
    lock = made(run, spec, checkpoint or "", folder.n) if checkpoint or order.had_checkpoint else newest(run)
    gone = missing(spec, lock, present)
    if gone is not None:
        return Looked(refuse=f"{MISSING}: {gone}")
    if lock is None:
        return Looked()
    found = compare(lock.identity, present, spec.locking)
    said: tuple[str, ...] = ()
    if not order.by_itself or _asked_since_it_spoke(run, folder.n):
        found, said = without_told(found)
    ruling = rule(str(spec.run), found, spec.locking, by_itself=order.by_itself)
    if ruling.refuse is None and ruling.accepted:
        taken = Identity(tuple(pair for pair in present.traits if pair[0] in ruling.accepted))
        why = f"attempt {folder.n} began with it at a person's word: {', '.join(ruling.accepted)}"
        _take_over(run, lock, taken, folder.n, why)
    unread = tuple(
        f"{UNREAD}{key}: {why.removeprefix('now: ')}"
        for key, why in found.unknown
        if known(lock.identity, key) and key in (*FROM_PATHS, *dict(spec.locking.given))
    )
    return Looked((*ruling.reasons, *said, *unread), ruling.refuse)


def made(run: RunFolder, spec: Spec, checkpoint: str, before: int) -> Lock | None:
    """The lock of a run that has a checkpoint: from the newest attempt that began before number `before`, if there is
    none yet; else with what can be told only now. None: no attempt of the run has begun, so the checkpoint is none of
    its. Also for whoever hashes a save while its training goes on. Raises WorldError."""
    lock = newest(run)
    maker = newest_begun(run, before)
    if maker is None:
        return lock
    tells = _of_attempt(maker, spec, checkpoint)
    if lock is None:
        why = f"the first checkpoint was made by attempt {maker.n}"
        return _make(run, Lock(1, maker.n, tells, _now(), why))[0]
    if maker.n <= lock.attempt:  # what a person dropped since is not taken from before
        tells = _without(tells, dropped(lock))
    more = completed(lock.identity, tells)
    if more is None:
        return lock
    added = ", ".join(key for key in keys_of(more) if known(more, key) and not known(lock.identity, key))
    lock, _ = add(run, lock, more, maker.n, f"could be read for the first time: {added}")
    return lock


def newest(run: RunFolder) -> Lock | None:
    """Raises WorldError, Damaged: a lock that cannot be read is not passed over."""
    lock = None
    for version in range(1, VERSIONS_MAX):
        path = run.lock(version)
        record = files.read(path)
        if record is None:
            return lock
        lock = from_record(record, Lock, path)
    raise Damaged(f"{run.path}: more than {VERSIONS_MAX} locks")


def add(
    run: RunFolder, lock: Lock, identity: Identity, attempt: int, why: str, by: str = ""
) -> tuple[Lock, bool]:
    """(the next version, whether it is ours): somebody else may have made it first. Raises WorldError."""
    return _make(run, Lock(lock.version + 1, attempt, identity, _now(), why, by))


def _take_over(run: RunFolder, lock: Lock, taken: Identity, attempt: int, why: str) -> None:
    """Whatever else somebody changes in the lock meanwhile. Raises WorldError."""
    for _ in range(TIMES_MAX):
        identity = merged(_without(lock.identity, keys_of(taken)), taken)
        lock, ours = add(run, lock, identity, attempt, why)
        if ours:
            return
    raise WorldError(f"{run.path}: its lock is made anew by others again and again")


def present_of(run: RunFolder, spec: Spec, checkpoint: str, before: int) -> Identity:
    """As a start would find it now. What the newest attempt before number `before` told itself still counts: its paths
    are read anew."""
    said, told_in, teller = _told(run, before)
    return read(
        Subject(
            argv=spec.argv,
            cwd=spec.cwd,
            environment=environment_of(run),
            given=spec.locking.given,
            told=plain(said),
            told_in=told_in,
            told_by=f"{TOLD}{teller}",
            lineage=spec.lineage or "",
            checkpoint=checkpoint,
            ignored=spec.resume.root.replace("{run_dir}", run.path) if spec.resume is not None else "",
        ),
        WITHIN_S,
    )


def without_told(found: Comparison) -> tuple[Comparison, tuple[str, ...]]:
    """As a start is measured that a person asked for, with what is put off: a value that the script said last time it
    may not say by now. It is compared again at the start after, once the script has spoken; a path is read anew."""
    said = [
        each for each in found.differences if each.present.source.startswith(TOLD) and not each.present.path
    ]
    held = tuple(each for each in found.differences if each not in said)
    return replace(found, differences=held), tuple(f"{PUT_OFF}{told(each)}" for each in said)


def missing(spec: Spec, lock: Lock | None, present: Identity) -> str | None:
    """A path that a person named, of a key that must match, and that is not there now. What the training made itself,
    or a cache that was emptied, is no such path: it is made anew. Nor is what a person dropped from the lock."""
    named = [(key, value, hub.is_path(value)) for key, value in spec.locking.given]
    said = declared.read(spec.argv, spec.cwd, Deadline(WITHIN_S)).said
    for key in FROM_PATHS:
        if key in said and said[key].source.startswith("--") and hub.is_path(said[key].value):
            named.append((key, said[key].value, False))
    for key, value, whether_locked_or_not in named:
        path = os.path.normpath(os.path.join(spec.cwd, os.path.expanduser(value)))
        if class_of(key, spec.locking) != "must_match" or known(present, key) or os.path.exists(path):
            continue
        ours = known(lock.identity, key) if lock is not None else ()
        was_there = next((trait for trait in ours if trait.path == path), None)
        if was_there is not None:
            return f"{key}: {path}, which is locked ({was_there.source}), is not there"
        if whether_locked_or_not and not (lock is not None and key in dropped(lock)):
            return f"{key}: {path} is not there"
    return None


def vanished(lock: Lock, present: Identity) -> tuple[str, ...]:
    """Locked keys whose path is not there now."""
    return tuple(
        key
        for key in keys_of(lock.identity)
        if not known(present, key)
        and (traits := known(lock.identity, key))
        and all(trait.path and not os.path.exists(trait.path) for trait in traits)
    )


def without(lock: Lock, keys: Collection[str]) -> Identity:
    """The lock's identity where a person dropped these: they are locked anew by the first attempt that finds them."""
    traits: list[tuple[str, Trait]] = [pair for pair in lock.identity.traits if pair[0] not in keys]
    return Identity((*traits, *((key, NotLocked(f"{DROPPED}it was not there")) for key in keys)))


def dropped(lock: Lock) -> tuple[str, ...]:
    return tuple(
        key
        for key, trait in lock.identity.traits
        if isinstance(trait, NotLocked) and trait.why.startswith(DROPPED)
    )


def digest(lock: Lock) -> str:
    """One word for all that must not change, for whoever writes down under which lock something was made."""
    return hashes.of_text(*(f"{key} {trait.kind} {trait.value}" for key, trait in _all_known(lock.identity)))


def base_of(lock: Lock) -> str:
    """The fingerprint of the base model, "" where it is not locked."""
    found = known(lock.identity, "base_model")
    return found[0].value if found else ""


def spec_of(run: RunFolder) -> Spec:
    """Raises WorldError."""
    record = files.read(run.record)
    if record is None:
        raise WorldError(f"{run.record} is not there")
    return from_record(record, Spec, run.record)


def environment_of(run: RunFolder) -> Mapping[str, str]:
    """The caller's, as the training gets it. Raises WorldError."""
    record = files.read(run.env)
    return {} if record is None else {str(name): str(value) for name, value in record["env"].items()}


def _of_attempt(maker: AttemptFolder, spec: Spec, checkpoint: str) -> Identity:
    """What it began with, what it told itself (its paths as they are now), and what the checkpoint tells."""
    began = began_with(maker)
    run = maker.run()
    said, told_in, teller = _told(run, maker.n + 1)
    later = read(
        Subject(
            (), spec.cwd, environment_of(run), told=plain(said), told_in=told_in,
            told_by=f"{TOLD}{teller}", checkpoint=checkpoint,
        ),
        WITHIN_S,
    )  # fmt: skip
    spoken = Identity(
        tuple(pair for pair in later.traits if pair[0] in said and not _began_with(began, *pair))
    )
    rest = Identity(
        tuple(pair for pair in later.traits if isinstance(pair[1], Known) and pair[0] not in OF_THE_COMMAND)
    )
    found = merged(began, spoken)
    return completed(found, rest) or found


def _began_with(began: Identity, key: str, trait: Trait) -> bool:
    """The same file, as it was at the beginning: by now it may be another."""
    path = trait.path if isinstance(trait, Known) else ""
    return bool(path) and any(each.path == path for each in known(began, key))


def _told(run: RunFolder, before: int) -> tuple[dict[str, Any], str, int]:
    """(what, in which folder, by which attempt): the last word below number `before`. One that died before it spoke
    takes nothing back. What a training leaves is its own: nonsense in it tells nothing. Raises WorldError."""
    for n in range(before - 1, 0, -1):
        try:
            record = files.read(run.attempt(n).locked)
        except Damaged:
            continue
        said = record.get("told") if record is not None else None
        if record is not None and isinstance(said, dict):
            folder = record.get("cwd")
            return said, folder if isinstance(folder, str) else "", n
    return {}, "", 0


def _asked_since_it_spoke(run: RunFolder, before: int) -> bool:
    """Whether a person asked for an attempt after the one whose word still counts. Raises WorldError."""
    _, _, teller = _told(run, before)
    for n in range(before - 1, teller, -1):
        record = files.read(run.attempt(n).identity)
        if record is not None and record.get("by_itself") is False:
            return True
    return False


def newest_begun(run: RunFolder, before: int) -> AttemptFolder | None:
    """The newest attempt below number `before` of which a training instruction may have run."""
    for n in range(before - 1, 0, -1):
        attempt = run.attempt(n)
        if os.path.exists(attempt.started):
            return attempt
    return None


def attempts_of(run: RunFolder) -> int:
    """The highest number of an attempt that has a folder."""
    try:
        return max((int(name) for name in os.listdir(run.attempts) if ATTEMPT.fullmatch(name)), default=0)
    except FileNotFoundError:
        return 0


def began_with(attempt: AttemptFolder) -> Identity:
    """Empty where none was kept. Raises WorldError, Damaged."""
    record = files.read(attempt.identity)
    return Identity(()) if record is None else from_record(record, Identity, attempt.identity)


def _make(run: RunFolder, lock: Lock) -> tuple[Lock, bool]:
    """(the lock that stands there now, whether it is ours): somebody else may have made it first."""
    path = run.lock(lock.version)
    made = files.make_once(path, {"schema": SCHEMA, **to_record(lock)})
    return from_record(made.record, Lock, path), made.ours


def _without(identity: Identity, keys: tuple[str, ...]) -> Identity:
    return Identity(tuple(pair for pair in identity.traits if pair[0] not in keys))


def _all_known(identity: Identity) -> list[tuple[str, Known]]:
    return [(key, trait) for key, trait in identity.traits if not isinstance(trait, NotLocked)]


def _now() -> Moment:
    return from_record(moment(), Moment)
