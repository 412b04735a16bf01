"""The tensors that a state dict of torch holds, by name, as its pickle tells of them.

Functions: torch._utils._rebuild_tensor_v2 and its kin, torch.storage._load_from_bytes excluded: what is pickled inside
of a pickle is not looked at.

Knows names, types, shapes and where the numbers lie. Refuses to read them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from outlast.checkpoints.parts import numbers
from outlast.checkpoints.parts.pickles import Named, Stored

DEPTH_MAX, VISITS_MAX = 64, 5_000_000
PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")
TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")
DTYPE_OF_V3, ARGS_OF_TYPED = 6, 2


class Tensor(NamedTuple):
    """`name`: its keys, joined by dots. `kind` "" where it cannot be told. Its numbers are among those from `first` up
    to `last` of its storage: all of them, unless it is a view with gaps."""

    name: str
    kind: str
    stored: Stored
    shape: tuple[int, ...]
    first: int
    last: int


def tensors_in(said: Any) -> Iterator[Tensor]:
    """Depth first; what holds itself is not followed, and what is held at several places has several names."""
    yield from _walk(said, "", (), iter(range(VISITS_MAX)))


def _walk(value: Any, name: str, above: tuple[int, ...], visits: Iterator[int]) -> Iterator[Tensor]:
    if isinstance(value, Named):
        tensor = _tensor(value, name)
        if tensor is not None:
            yield tensor
            return
    items = _items(value)
    if not items or id(value) in above or len(above) >= DEPTH_MAX:
        return
    for key, child in items:
        if next(visits, None) is None:
            return
        yield from _walk(child, _joined(name, key), (*above, id(value)), visits)


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, Named):
        found = [*enumerate(value.args), *value.kwargs.items()]
        found += [item if isinstance(item, tuple) and len(item) == 2 else ("", item) for item in value.items]
        return found if value.state is None else [*found, ("", value.state)]
    return []


def _joined(name: str, key: Any) -> str:
    text = str(key)[:200] if isinstance(key, (str, int)) else ""
    return f"{name}.{text}" if name and text else name or text


def _tensor(value: Named, name: str) -> Tensor | None:
    args = value.args
    if value.module not in ("torch._utils", "torch._tensor"):
        return None
    if (
        value.name == "_rebuild_from_type_v2"
        and len(args) > ARGS_OF_TYPED
        and isinstance(args[ARGS_OF_TYPED], tuple)
    ):
        make = args[0]
        is_known = isinstance(make, type) and issubclass(make, Named)
        return _tensor(make(*args[ARGS_OF_TYPED]), name) if is_known else None
    if value.name in PARAMETERS and args and isinstance(args[0], Named):
        return _tensor(args[0], name)
    if value.name not in TENSORS or len(args) < 4 or not isinstance(args[0], Stored):
        return None
    stored, first, shape, stride = args[:4]
    kind = stored.kind
    if value.name == "_rebuild_tensor_v3" and len(args) > DTYPE_OF_V3:
        kind = getattr(args[DTYPE_OF_V3], "name", "")
    shape = shape.args[0] if isinstance(shape, Named) and shape.args else shape  # a torch.Size
    if not (
        _are_counts(shape) and _are_counts(stride) and _are_counts((first,)) and len(shape) == len(stride)
    ):
        return None
    extent = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) if all(shape) else 0
    return Tensor(name, kind if kind in numbers.SIZES else "", stored, shape, first, first + extent)


def _are_counts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, int) and each >= 0 for each in value)
