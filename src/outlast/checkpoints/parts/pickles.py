"""What a pickle says, without running anything of it.

Every class or function that it names becomes a `Named` that only remembers how it was called; what torch stores beside
the pickle becomes a `Stored`. The result is made of plain values, `Named` and `Stored`.

Format: https://docs.python.org/3/library/pickletools.html; persistent ids as torch.serialization writes them:
("storage", class of the storage, key of the record, location, number of elements).

Knows pickle. Refuses to import anything that a pickle names. A hostile one can still ask for much memory: whoever
reads one limits its own process first (`guard`).
"""

import io
import pickle
from typing import Any

from outlast.checkpoints.parts.faults import Broken, Unknown

STORAGE_TYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64", "QUInt8Storage": "quint8", "QInt8Storage": "qint8", "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4", "UntypedStorage": "",
}  # fmt: skip


class Stored:
    """Numbers that lie in a record of their own. `kind` is "" where the storage itself does not know (bytes)."""

    __slots__ = ("count", "key", "kind")

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.kind, self.key, self.count = kind, key, count


class Pairs(dict[Any, Any]):
    """Stands for an OrderedDict, which may carry a state of its own."""


PLAIN: dict[tuple[str, str], type] = {("collections", "OrderedDict"): Pairs, ("builtins", "set"): set}


class Named:
    """Stands for an object of a class, or the answer of a function, that was named and never imported."""

    module = name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Named":
        made = super().__new__(cls)
        made.args, made.kwargs, made.state, made.items = args, kwargs, None, []
        return made

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: Any
    items: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, item: Any) -> None:
        self.items.append(item)

    def extend(self, items: Any) -> None:
        self.items.extend(items)

    def add(self, item: Any) -> None:
        self.items.append(item)

    def __call__(self, *args: Any, **kwargs: Any) -> "Named":
        return type(self)(*args, **kwargs)


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self._classes: dict[tuple[str, str], type] = {}
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> type:
        plain = PLAIN.get((module, name))
        if plain is not None:
            return plain
        self.names.add(f"{module}.{name}")
        known = self._classes.get((module, name))
        if known is None:
            known = self._classes[module, name] = type(name[:99], (Named,), {"module": module, "name": name})
        return known

    def persistent_load(self, pid: Any) -> Stored:
        """Raises UnpicklingError: nothing that torch writes."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError(f"a reference that torch does not write: {str(pid)[:99]}")
        _, kind, key, _, count = pid[:5]
        name = kind.name if isinstance(kind, type) and issubclass(kind, Named) else ""
        if name not in STORAGE_TYPES or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError(f"a storage that torch does not write: {str(pid)[:99]}")
        return Stored(STORAGE_TYPES[name], key, count)


def inside(value: Any) -> list[Any]:
    """What a container, or a `Named`, holds at once."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, Named):
        return [*value.args, *value.kwargs.values(), value.state, *value.items]
    return []


def read(data: bytes) -> tuple[Any, frozenset[str]]:
    """(what it says, the names of all classes and functions in it). Raises Broken, Unknown."""
    reader = _Reader(data)
    try:
        return reader.load(), frozenset(reader.names)
    except (MemoryError, OverflowError, RecursionError) as error:
        raise Unknown("its pickle asks for more memory than any checkpoint needs") from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Broken(f"its pickle cannot be read: {str(error)[:200] or type(error).__name__}") from error
