"""What time it is, as a record: intervals on the monotonic clock of one boot, the wall clock for display only."""

import time
from typing import Any

from outlast.disk.identity import boot_id


def moment() -> dict[str, Any]:
    return {"boot": boot_id(), "mono_s": time.monotonic(), "wall_s": time.time()}
