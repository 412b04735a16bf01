"""What time it is, as a record: intervals on the monotonic clock of one boot, the wall clock for display only."""

from __future__ import annotations

import time

from outlast.disk.identity import boot_id

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any


def moment() -> dict[str, Any]:
    return {"boot": boot_id(), "mono_s": time.monotonic(), "wall_s": time.time()}
