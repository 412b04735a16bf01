"""Any value of any fact, built from its annotations: a fact that is added is tested from its first day."""

import types
import typing
from functools import cache
from typing import Any, Literal, NewType, Union, get_args, get_origin

from hypothesis import strategies as st

from outlast import facts
from outlast.facts import AnyEntry, Fact
from outlast.facts.entries import Entry

TEXT = st.text(max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
PLAIN = {str: TEXT, int: INTEGERS, float: NUMBERS, bool: st.booleans(), type(None): st.none()}
BASES = (Fact, Entry)


def all_facts() -> list[type[Fact]]:
    """Every kind of value that may be written down, by name: those of `facts`, whoever else makes some of his own."""
    found, left = set(), [Fact]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind not in BASES and kind.__module__.startswith(f"{facts.__name__}."):
            found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def all_entries() -> tuple[type[Entry], ...]:
    return get_args(AnyEntry)


def any_of(shape: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    if isinstance(shape, NewType):
        return any_of(shape.__supertype__)
    if shape in PLAIN:
        return PLAIN[shape]
    origin, args = get_origin(shape), get_args(shape)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of([any_of(each) for each in args])
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(any_of(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(any_of(each) for each in args))
    assert issubclass(shape, Fact), f"no values are known for {shape}"
    return any_fact(shape)


@cache
def any_fact(kind: type[Fact]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: later(hints[name]) for name in kind.__struct_fields__})


def later(shape: Any) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: any_of(shape))
