"""What a start of a run is made of, key by key: given by a person, told by the training, said by its command, by its
checkpoint, and read from what these name.

Knows the sources and which of them rules: --lock, then `run.lock(...)` of the attempt before, then the command and
its configuration files, then the checkpoint. Refuses to compare.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from outlast.checkpoints.lock import base, declared, hashes, hub, saved, versions
from outlast.checkpoints.lock.declared import Declared
from outlast.checkpoints.parts.faults import Broken, Late, Unknown
from outlast.checkpoints.parts.reading import Deadline
from outlast.decide.lock import merged
from outlast.facts import Identity, Known, NotLocked, Trait
from outlast.work import code_state

Traits = list[tuple[str, Trait]]
GIVEN = "--lock"
FROM_PATHS = ("base_model", "tokenizer", "data")
VALUES = (
    ("max_length", "max_length", "value"),
    ("seed", "seed", "value"),
    ("dataset_revision", "data", "revision"),
)


class Subject(NamedTuple):
    """Of whom the identity is read. `told`: (key, value) from `run.lock(...)`, with the folder that paths in it are
    relative to. `checkpoint`: "" for none. `ignored`: the folder of the checkpoints."""

    argv: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    given: Sequence[tuple[str, str]] = ()
    told: Sequence[tuple[str, str]] = ()
    told_in: str = ""
    told_by: str = "run.lock"
    lineage: str = ""
    checkpoint: str = ""
    ignored: str = ""


def read(subject: Subject, within_s: float) -> Identity:
    """Never raises for what cannot be read: that key is not locked, and says why."""
    deadline = Deadline(within_s)
    said = declared.read(subject.argv, subject.cwd, deadline, subject.ignored)
    tells = saved.read(subject.checkpoint, deadline) if subject.checkpoint else saved.Told(Identity(()))
    revision = said.said["revision"].value if "revision" in said.said else ""
    layers: list[Traits] = [
        _named(subject.given, subject.cwd, GIVEN, subject.environment, deadline),
        _named(subject.told, subject.told_in or subject.cwd, subject.told_by, subject.environment, deadline),
        _declared(said, subject, revision, deadline),
        _around(said, subject, deadline),
    ]
    if tells.base_model and not any(
        key == "base_model" for key, _ in _known([*layers[0], *layers[1], *layers[2]])
    ):
        source = f"{os.path.basename(subject.checkpoint)}/{base.ADAPTER}"
        layers.append(
            _model(tells.base_model, subject.cwd, source, subject.environment, tells.revision, deadline)
        )
    found = Identity(())
    for layer in reversed([*layers, [*tells.identity.traits]]):
        found = merged(found, Identity(tuple(layer)))
    return found


def _declared(said: Declared, subject: Subject, revision: str, deadline: Deadline) -> Traits:
    traits: Traits = [
        (key, NotLocked(f"told in two ways: {why}")) for key, why in said.unclear.items() if "." not in key
    ]
    for key in FROM_PATHS:
        if key not in said.said:
            continue
        value, source = said.said[key]
        path = os.path.normpath(os.path.join(subject.cwd, os.path.expanduser(value)))
        if declared.is_inside(path, subject.ignored):
            traits.append((key, NotLocked(f"{value} ({source}) lies where the training saves")))
        elif key == "base_model":
            traits += _model(value, subject.cwd, source, subject.environment, revision, deadline)
        else:
            trait = _path(key, value, subject.cwd, source, subject.environment, deadline)
            traits.insert(0, (key, trait or NotLocked(f"{value} ({source}) is no file or folder here")))
    for name, key, kind in VALUES:
        if name in said.said:
            traits.append((key, Known(said.said[name].value, kind, said.said[name].source)))
    traits.append(("lora", declared.lora(said)))
    return traits


def _around(said: Declared, subject: Subject, deadline: Deadline) -> Traits:
    return [
        (
            "lineage",
            Known(subject.lineage, "value", "the run")
            if subject.lineage
            else NotLocked("it belongs to none"),
        ),
        ("code", code_state.read(subject.argv, subject.cwd, subject.environment, subject.ignored, deadline)),
        ("versions", versions.read(subject.argv, subject.environment)),
        ("world_size", declared.world_size(subject.argv, subject.environment)),
        ("arguments", declared.arguments(subject.argv, said.configs)),
        *(
            (key, NotLocked("nothing tells it"))
            for key in (*FROM_PATHS, "architecture", "max_length", "seed")
        ),
    ]


def _named(
    pairs: Sequence[tuple[str, str]],
    cwd: str,
    source: str,
    environment: Mapping[str, str],
    deadline: Deadline,
) -> Traits:
    """KEY=PATH|VALUE: a path where one is there, or can only be meant."""
    traits: Traits = []
    for key, value in pairs:
        if key == "base_model":
            traits += _model(value, cwd, source, environment, "", deadline)
        elif key == "lora":
            traits.append((key, _lora(value, source)))
        else:
            trait = _path(key, value, cwd, source, environment, deadline)
            traits.append((key, trait or Known(value, "value", source)))
    return traits


def _model(
    named: str, cwd: str, source: str, environment: Mapping[str, str], revision: str, deadline: Deadline
) -> Traits:
    """The model, and what lies beside its weights."""
    place = hub.resolve(named, cwd, environment, revision)
    if isinstance(place, NotLocked):
        return [("base_model", place)]
    traits: Traits = [("base_model", base.weights(place.path, place.revision, source, deadline))]
    if os.path.isdir(place.path):
        for key, trait in (
            ("tokenizer", base.tokenizer(place.path, source, deadline)),
            ("architecture", base.architecture(place.path, source, deadline)),
        ):
            traits.append((key, trait))
    return traits


def _path(
    key: str, value: str, cwd: str, source: str, environment: Mapping[str, str], deadline: Deadline
) -> Trait | None:
    """None: it is no path, and cannot be meant as one."""
    if key == "tokenizer":
        place = hub.resolve(value, cwd, environment)
        return place if isinstance(place, NotLocked) else base.tokenizer(place.path, source, deadline)
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(value)))
    if not os.path.exists(path):
        return NotLocked(f"{path} is not there") if hub.is_path(value) else None
    if key == "architecture" and os.path.isdir(path):
        return base.architecture(path, source, deadline)
    return _quietly(lambda: _content(path, source, deadline))


def _content(path: str, source: str, deadline: Deadline) -> Known:
    if os.path.isdir(path):
        digest, count = hashes.of_folder(path, deadline)
        return Known(digest, "folder", source, (("files", str(count)),), path=path)
    return Known(hashes.of_file(path, deadline), "file", source, path=path)


def _lora(value: str, source: str) -> Known:
    """ "r=8,alpha=16,targets=q_proj+v_proj" """
    pairs = [word.partition("=") for word in value.replace(" ", "").split(",") if word]
    fields = tuple((name, declared.normal(told.replace("+", ","))) for name, equals, told in pairs if equals)
    return Known(value, "lora", source, fields, partial=True) if fields else Known(value, "value", source)


def _known(traits: Traits) -> list[tuple[str, Known]]:
    return [(key, trait) for key, trait in traits if isinstance(trait, Known)]


def _quietly(read_it: Callable[[], Trait]) -> Trait:
    try:
        return read_it()
    except (Broken, Unknown, Late) as error:
        return NotLocked(str(error))
    except OSError as error:
        return NotLocked(f"it cannot be read: {error.strerror or error}")


def plain(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `run.lock(...)` left, as words."""
    return [(str(key), _word(value)) for key, value in told.items()]


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={_word(each).replace(',', '+')}" for key, each in value.items())
    if isinstance(value, list):
        return ",".join(sorted(map(str, value)))
    return str(value)
