"""outlast.yaml: every key that works, its type and default. Strict: a wrong word is an error with file and line.

Knows how a person writes durations and sizes. Refuses to know who uses a setting. The YAML library is imported only
where there is a file to read.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.errors import RefusedError, UserError, WorldError
from outlast.facts.locking import FREE, KEYS, MUST_MATCH, WARN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yaml import MappingNode, Node, ScalarNode

CONFIG_BYTES_MAX = 1 << 20
_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|)\s*")
_UNITS_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
AUTO = "auto"


class Settings(NamedTuple):
    """Effective values. `origins`: (dotted key, "default" or "FILE:LINE"). A section without a stall limit: none."""

    slots_count: int = 1
    attempts: int = 3
    backoff_s: float = 10.0
    stop_grace_s: float = 30.0
    stop_limit_s: float = 600.0
    stall_limits_s: tuple[tuple[str, float], ...] = ()
    log_bytes_max: int = 1 << 30
    keep_last: int | None = None
    keep_every: int | None = None
    keep_best: tuple[str, bool] | None = None
    keep_younger_s: float | None = None
    keep_least: int = 2
    pins_wanted: bool = True
    pins_copy_max: int = 5 * 10**9
    lock_must_match: tuple[str, ...] = MUST_MATCH
    lock_warn: tuple[str, ...] = WARN
    lock_free: tuple[str, ...] = FREE
    lock_code: str = "hold"
    origins: tuple[tuple[str, str], ...] = ()


def seconds(text: str) -> float:
    """ "90", "90s", "30m", "1h30m", "2d" -> seconds. Raises ValueError with a sentence."""
    total, position = 0.0, 0
    text = text.strip().lower()
    while match := _PART.match(text, position):
        total += float(match[1]) * _UNITS_S[match[2]]
        position = match.end()
    if not text or position != len(text) or total == float("inf"):
        raise ValueError(f"{text!r} is not a duration: write 90s, 30m, 1h30m or 2d")
    return total


def seconds_above_zero(text: str) -> float:
    """The same for a limit, which zero would make one that nothing can keep."""
    found = seconds(text)
    if found <= 0:
        raise ValueError(f"{text!r} is no limit: write a duration above zero")
    return found


def size(text: str) -> int:
    """ "500MB", "1GiB", "1048576" -> bytes. Raises ValueError with a sentence."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS_BYTES:
        raise ValueError(f"{text!r} is not a size: write 500MB or 1GiB")
    return int(float(match[1]) * _UNITS_BYTES[match[2]])


def whole(text: str) -> int:
    """A whole number above zero. Raises ValueError with a sentence."""
    if not re.fullmatch(r"\d+", text.strip()) or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number above zero")
    return int(text)


def best(text: str) -> tuple[str, bool]:
    """ "eval_loss:min" -> (the metric, whether more is better). Raises ValueError with a sentence."""
    name, _, which = text.strip().rpartition(":")
    if not name or which not in ("min", "max"):
        raise ValueError(f"{text!r} names no best: write eval_loss:min or accuracy:max")
    return name, which == "max"


def yes_or_no(text: str) -> bool:
    """Raises ValueError with a sentence."""
    if text.strip().lower() not in ("yes", "no", "true", "false"):
        raise ValueError(f"{text!r} is neither yes nor no")
    return text.strip().lower() in ("yes", "true")


def lock_key(text: str) -> str:
    """A key of the lock. Raises ValueError with a sentence."""
    if not _KEY.fullmatch(text):
        raise ValueError(f"{text!r} is no key of a lock: write a name such as base_model, in small letters")
    return text


def code_change(text: str) -> str:
    """Raises ValueError with a sentence."""
    if text not in ("hold", "warn"):
        raise ValueError(f"{text!r} is neither hold nor warn")
    return text


def load(path: str) -> Settings:
    """Raises UserError (names file, line and the nearest key), RefusedError (somebody else could have written it),
    WorldError (unreadable)."""
    body = _trusted_bytes(path)
    if body is None:
        return Settings(origins=tuple((key, "default") for key in _all_keys()))
    return _Reader(path).settings(_compose(path, body))


def _trusted_bytes(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldError(f"cannot read {path}: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{path}: is not a file: remove it, or write the configuration there")
        if found.st_uid not in (os.geteuid(), 0):
            raise RefusedError(f"{path} belongs to uid {found.st_uid}, not to you: it is not obeyed")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise RefusedError(f"{path} can be written by others: run `chmod go-w {path}` first")
        if found.st_size > CONFIG_BYTES_MAX:
            raise UserError(f"{path}: larger than {CONFIG_BYTES_MAX} bytes: this is no configuration")
        return os.read(fd, CONFIG_BYTES_MAX)
    except OSError as error:
        raise WorldError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(fd)


def _compose(path: str, body: bytes) -> Node | None:
    import yaml

    try:
        node: Node | None = yaml.compose(body.decode(), Loader=yaml.SafeLoader)
        return node
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: this is not UTF-8 text: save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: this is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from error


class _Reader:
    """One walk over the composed file; every complaint has its line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        self._stalls: dict[str, float] = {}
        self._locked: dict[str, str] = {}  # name -> the list of the file that it stands in
        self._origins = dict.fromkeys(_all_keys(), "default")

    def settings(self, root: Node | None) -> Settings:
        if root is not None and not _is_empty(root):
            for name, node in self._pairs(root, "", list(_SECTIONS)):
                for key, value in self._pairs(node, name, list(_SECTIONS[name])):
                    self._take(f"{name}.{key}", value)
        self._sort_keys()
        return Settings(
            **self._values,
            stall_limits_s=tuple(self._stalls.items()),
            origins=tuple(self._origins.items()),
        )

    def _take(self, key: str, node: Node) -> None:
        section, _, name = key.partition(".")
        target = _SECTIONS[section][name]
        if target is None:
            (self._take_stalls if section == "limits" else self._take_keys)(key, node)
            return
        field, read = target
        self._values[field] = self._scalar(key, node, read)
        self._origins[key] = self._place(node)

    def _take_stalls(self, key: str, node: Node) -> None:
        """limits.stall: any section name -> a duration, or auto (no limit of one's own)."""
        for name, value in self._pairs(node, key, None):
            if getattr(value, "value", None) != AUTO:
                self._stalls[name] = self._scalar(f"{key}.{name}", value, seconds_above_zero)
            self._origins[f"{key}.{name}"] = self._place(value)

    def _take_keys(self, key: str, node: Node) -> None:
        """lock.must_match, warn, free: a key stands in one of them, and goes out of where the default has it."""
        from yaml import SequenceNode

        if not isinstance(node, SequenceNode):
            raise UserError(f"{self._place(node)}: {key}: a list of names is needed here, not {_kind(node)}")
        names = tuple(self._scalar(key, each, lock_key) for each in node.value)
        for name in names:
            if name in self._locked:
                where = self._locked[name]
                twice = f"in {key} twice" if where == key else f"in {where} and in {key}"
                raise UserError(f"{self._place(node)}: {name} stands {twice}: keep one")
            self._locked[name] = key
        self._values[f"lock_{key.rpartition('.')[2]}"] = names
        self._origins[key] = self._place(node)

    def _sort_keys(self) -> None:
        """What one list of the file names, no default list has. A key that is read by itself, and that the file's own
        lists leave out, only warns."""
        lists = (("must_match", MUST_MATCH), ("warn", WARN), ("free", FREE))
        own = [key for key, _ in lists if f"lock_{key}" in self._values]
        if not own:
            return
        for key, default in lists:
            if key not in own:
                names = tuple(name for name in default if name not in self._locked)
                self._set_list(key, names, default, own[0])
        listed = {name for key, _ in lists for name in self._values[f"lock_{key}"]}
        warn = self._values["lock_warn"]
        self._set_list("warn", (*warn, *(name for name in KEYS if name not in listed)), warn, own[0])

    def _set_list(self, key: str, names: tuple[str, ...], before: tuple[str, ...], by: str) -> None:
        """A default list that another list of the file changed has the line of that one."""
        self._values[f"lock_{key}"] = names
        if names != before and self._origins[f"lock.{key}"] == "default":
            self._origins[f"lock.{key}"] = self._origins[f"lock.{by}"]

    def _pairs(self, node: Node, where: str, known: list[str] | None) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; `known` None: any name."""
        from yaml import MappingNode

        if _is_empty(node):
            return
        if not isinstance(node, MappingNode):
            what = f"{where}: " if where else ""
            raise UserError(
                f"{self._place(node)}: {what}a mapping of names is needed here, not {_kind(node)}"
            )
        seen: set[str] = set()
        for name_node, value in self._entries(node):
            name = str(name_node.value)
            full = f"{where}.{name}" if where else name
            if known is not None and name not in known:
                raise UserError(f"{self._place(name_node)}: unknown key {full}{_nearest(name, known, where)}")
            if name in seen:
                raise UserError(f"{self._place(name_node)}: {full} stands here twice: keep one")
            seen.add(name)
            yield name, value

    def _entries(self, node: MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
        from yaml import ScalarNode

        for name, value in node.value:
            if not isinstance(name, ScalarNode):
                raise UserError(f"{self._place(name)}: a name is needed here, not {_kind(name)}")
            yield name, value

    def _scalar(self, key: str, node: Node, read: Callable[[str], Any]) -> Any:
        from yaml import ScalarNode

        if not isinstance(node, ScalarNode) or _is_empty(node):
            raise UserError(f"{self._place(node)}: {key}: one value is needed here, not {_kind(node)}")
        try:
            return read(node.value)
        except ValueError as error:
            raise UserError(f"{self._place(node)}: {key}: {error}") from None

    def _place(self, node: Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"


# section -> key -> (field of Settings, how its text is read); None: read by a method of its own
_SECTIONS: dict[str, dict[str, tuple[str, Callable[[str], Any]] | None]] = {
    "slots": {"count": ("slots_count", whole)},
    "limits": {
        "attempts": ("attempts", whole),
        "backoff": ("backoff_s", seconds),
        "stop_grace": ("stop_grace_s", seconds),
        "stop_limit": ("stop_limit_s", seconds),
        "stall": None,
    },
    "log": {"max": ("log_bytes_max", size)},
    "retention": {
        "keep_last": ("keep_last", whole),
        "keep_every": ("keep_every", whole),
        "keep_best": ("keep_best", best),
        "keep_younger": ("keep_younger_s", seconds_above_zero),
        "keep_verified": ("keep_least", whole),
    },
    "pins": {"newest": ("pins_wanted", yes_or_no), "copy_max": ("pins_copy_max", size)},
    "lock": {"must_match": None, "warn": None, "free": None, "code": ("lock_code", code_change)},
}


def _all_keys() -> list[str]:
    return [f"{section}.{key}" for section, keys in _SECTIONS.items() for key in keys]


def _nearest(name: str, known: list[str], where: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=1, cutoff=0.5)
    if found:
        return f"; did you mean {where + '.' if where else ''}{found[0]}?"
    inside = f"in {where} " if where else ""
    return f"; known {inside}are {', '.join(known)}"


def _is_empty(node: Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _kind(node: Node) -> str:
    kind = str(node.tag).rpartition(":")[2]
    names = {"map": "a mapping", "seq": "a list", "str": "text", "int": "a number", "float": "a number"}
    return names.get(kind, {"null": "nothing", "bool": "yes or no"}.get(kind, kind))


def value_of(settings: Settings, key: str) -> Any:
    """The effective value of a dotted key."""
    section, _, name = key.partition(".")
    if key.startswith("limits.stall."):
        return dict(settings.stall_limits_s).get(key.removeprefix("limits.stall."), AUTO)
    target = _SECTIONS[section][name]
    if section == "lock":
        return getattr(settings, f"lock_{name}")
    return getattr(settings, target[0]) if target else dict(settings.stall_limits_s)
