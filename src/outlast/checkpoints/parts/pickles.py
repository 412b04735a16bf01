"""What a pickle says, without running anything of it.

Every class or function that it names becomes a `Named` that only remembers how it was called; what torch stores beside
the pickle becomes a `Stored`. The result is made of plain values, `Named` and `Stored`.

Format: https://docs.python.org/3/library/pickletools.html; persistent ids as torch.serialization writes them:
("storage", class of the storage, key of the record, location, number of elements).

Knows pickle. Refuses to import anything that a pickle names. A hostile one can still ask for much memory, and for ever
for much time: it is read in a child with limits (`apart`).
"""

import io
import pickle
from typing import Any

from outlast.checkpoints.parts import apart
from outlast.checkpoints.parts.faults import Broken, Unknown

GETATTR = (("builtins", "getattr"), ("__builtin__", "getattr"))
STORAGE_TYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64", "QUInt8Storage": "quint8", "QInt8Storage": "qint8", "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4", "UntypedStorage": "",
}  # fmt: skip


LEAST_S, BYTES_A_SECOND = 10.0, 1 << 20
END = b"."
PICKLES_MAX = 8
HOSTILE_MODULES = frozenset(
    "os posix nt subprocess sys runpy ctypes socket shutil pty webbrowser commands timeit cProfile profile pdb bdb pip "
    "marshal multiprocessing asyncio importlib pydoc doctest urllib http ftplib smtplib telnetlib".split()
)
HOSTILE_NAMES = frozenset(
    "builtins.eval builtins.exec builtins.compile builtins.__import__ builtins.open builtins.breakpoint builtins.input "
    "__builtin__.eval __builtin__.exec __builtin__.execfile __builtin__.__import__ __builtin__.open io.open _io.open "
    "pickle.load pickle.loads _pickle.load _pickle.loads cPickle.load cPickle.loads code.interact "
    "code.InteractiveInterpreter code.InteractiveConsole operator.methodcaller operator.attrgetter "
    "torch.storage._load_from_bytes torch.load torch.hub.load".split()
)


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


def _class(module: str, name: str) -> type:
    return type(name[:99], (Named,), {"module": module, "name": name})


def _attribute(owner: Any, name: Any) -> Any:
    """Old protocols name a class inside of a class by `getattr`, and so are enumerations."""
    if isinstance(owner, type) and issubclass(owner, Named):
        return _class(owner.module, f"{owner.name}.{str(name)[:99]}")
    return _class("builtins", "getattr")


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self._classes: dict[tuple[str, str], type] = {}
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in GETATTR:
            return _attribute
        plain = PLAIN.get((module, name))
        if plain is not None:
            return plain
        self.names.add(f"{module}.{name}")
        known = self._classes.get((module, name))
        if known is None:
            known = self._classes[module, name] = _class(module, name)
        return known

    def persistent_load(self, pid: Any) -> Stored:
        """Raises UnpicklingError: nothing that torch writes."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("a reference that torch does not write")
        _, kind, key, _, count = pid[:5]
        name = kind.name if isinstance(kind, type) and issubclass(kind, Named) else ""
        if name not in STORAGE_TYPES or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("a storage that torch does not write")
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
    if not data.endswith(END):
        raise Broken("its pickle is cut off, or overwritten")
    reader = _Reader(data)
    try:
        with apart.busy_at_most(_limit_s(data)):
            return reader.load(), frozenset(reader.names)
    except (MemoryError, OverflowError, RecursionError) as error:
        raise Unknown("its pickle asks for more memory than any checkpoint needs") from error
    except EOFError as error:
        raise Broken("its pickle is cut off") from error
    except Exception as error:
        raise Unknown(f"its pickle cannot be read: {str(error)[:200] or type(error).__name__}") from error


def names_in(data: bytes) -> frozenset[str]:
    """Of pickles that follow each other, as far as they can be read: torch wrote several before 1.6."""
    reader = _Reader(data)
    for _ in range(PICKLES_MAX):
        try:
            with apart.busy_at_most(_limit_s(data)):
                reader.load()
        except Exception:  # noqa: BLE001 - what was named until then is what we know
            break
    return frozenset(reader.names)


def _limit_s(data: bytes) -> float:
    """Of the processor, for a pickle of that size: five times what one with a million tensors takes."""
    return LEAST_S + len(data) / BYTES_A_SECOND


def would_run(names: frozenset[str]) -> list[str]:
    """Those of the names that run programs or read files when the pickle is loaded, as far as they are known for it."""
    return sorted(
        name for name in names if name.partition(".")[0] in HOSTILE_MODULES or name in HOSTILE_NAMES
    )
