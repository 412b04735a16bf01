"""What the process that clears removed runs away has said so far: `cleared.json`, replaced as a whole.

Knows the record. It only informs: one that cannot be understood says nothing, and what it would have said is done
again. Refuses to know how a run is packed, and why it goes.
"""

from __future__ import annotations

from outlast.disk import files
from outlast.errors import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.disk.layout import Place

SCHEMA = 1


class Cleared:
    """`packed`: run -> the request for which it was packed, durably. `failed`: run -> why it could not be. `left`: name
    in the trash -> why it is still there; `emptied`: whether all of the trash was tried. `by`: who says so, by the name
    that was given to him.
    """

    def __init__(
        self,
        by: str = "",
        packed: Mapping[str, int] | None = None,
        failed: Mapping[str, str] | None = None,
        left: Mapping[str, str] | None = None,
        emptied: bool = False,
    ) -> None:
        self.by, self.emptied = by, emptied
        self.packed, self.failed, self.left = dict(packed or {}), dict(failed or {}), dict(left or {})

    def write(self, place: Place) -> None:
        """Raises WorldError."""
        files.replace(place.cleared, {"schema": SCHEMA, **vars(self)})


def read(place: Place) -> Cleared:
    """Raises WorldError: it cannot be seen now."""
    try:
        record = files.read(place.cleared) or {}
    except Damaged:
        record = {}
    packed, failed, left = (_dict(record.get(key)) for key in ("packed", "failed", "left"))
    return Cleared(
        by=str(record.get("by") or ""),
        packed={run: _number(request) for run, request in packed.items()},
        failed={run: str(why) for run, why in failed.items()},
        left={name: str(why) for name, why in left.items()},
        emptied=record.get("emptied") is True,
    )


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    """0 is nobody's request."""
    return value if type(value) is int else 0
