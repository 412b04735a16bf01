"""Classes of ours that are also a framework's, made when first asked for: importing outlast imports no framework.

Knows how a class is made of two. Refuses to know what it does.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any


def base(package: str, name: str, wanted_by: str) -> Any:
    """The class `name` of `package`. Raises ImportError: it is not installed, and how that is mended."""
    try:
        return getattr(import_module(package), name)
    except ImportError as error:
        top = package.partition(".")[0]
        raise ImportError(f"{wanted_by} needs {top}: pip install {top} ({error})") from error


def made(name: str, ours: type, bases: tuple[Any, ...], module: dict[str, Any]) -> Any:
    """`ours` with a framework's `bases`, kept under `name` in the `module`'s globals."""
    module[name] = type(name, (ours, *bases), {"__doc__": ours.__doc__, "__module__": module["__name__"]})
    return module[name]
