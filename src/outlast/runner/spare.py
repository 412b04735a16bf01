"""A runner in waiting: an interpreter with everything imported that does not know its attempt yet.

Starting Python takes longer than all the durable records of a restart together, so a supervisor keeps one runner
ready. It is told its attempt through its standard input, and leaves when that ends: with its supervisor, at the latest.
"""

from __future__ import annotations

import os

END = b"\0"
READ_BYTES = 1 << 16


def orders() -> tuple[str, str] | None:
    """Wait for (attempt folder, order name); None: nobody needs us any more."""
    said = b""
    while said.count(END) < 2:
        part = os.read(0, READ_BYTES)
        if not part:
            return None
        said += part
    folder, name, _ = said.split(END, 2)
    return os.fsdecode(folder), os.fsdecode(name)


def speak_into(log: int) -> None:
    """From now on our words go where those of a runner that was started for its attempt go."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
