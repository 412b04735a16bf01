"""A line to what it says: a bar, a report, or both on one line.

Knows the order in which the shapes are tried. Refuses to know what was said before.
"""

from __future__ import annotations

from outlast.runner.output_reading.bars import read_bar
from outlast.runner.output_reading.lines import may_speak, plain
from outlast.runner.output_reading.names import pattern, text_of
from outlast.runner.output_reading.records import is_saving, read_record
from outlast.runner.output_reading.seen import Seen

SAVE = "save"
NUMBERS = rb"[-+]?(?:nan\b|inf\b|\d)[\d.,:/%e+-]*"
SHAPE_MAX = 48


def shape_of(raw: bytes) -> str:
    """The beginning of a line, whatever its numbers."""
    return text_of(pattern(NUMBERS).sub(b"#", plain(raw)[: 2 * SHAPE_MAX].strip())[:SHAPE_MAX])


def understand(raw: bytes) -> list[Seen]:
    """What a whole line, with its terminal codes, says of progress: nothing, or one or two things."""
    line = plain(raw)
    if not line.strip():
        return []
    bar, rest = read_bar(line, raw)
    found = [] if bar is None else [bar]
    if bar is None or (rest.strip() and may_speak(rest)):
        if is_saving(rest):
            saving = Seen("plain")
            saving.section = SAVE
            return [*found, saving]
        record = read_record(rest)
        if record is not None:
            found.append(record)
    return found
