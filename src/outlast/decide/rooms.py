"""How much room a disk has for the next checkpoint, in words, and what a run waits for that died of a full one."""

from outlast.facts import Book, Room

DISK_FULL = "disk_full"
UNITS = ("bytes", "KB", "MB", "GB", "TB")


def lacking(book: Book) -> Room | None:
    """What a run waits for whose last attempt died of a full disk; None: nothing."""
    last = book.endings[-1] if book.endings else None
    if last is None or last.cause.name != DISK_FULL or last.charged:
        return None
    return last.ending.room


def words(room: Room) -> str:
    """ "1.2 MB are free at out, and a checkpoint needs 4.0 MB"."""
    if room.inodes == 0:
        return f"{room.root} has no inode left: too many files"
    if room.free is None:
        return f"how much is free at {room.root} cannot be seen"
    return f"{_size(room.free)} are free at {room.root}, and a checkpoint needs {_size(room.needs)}"


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {UNITS[unit]}" if unit else f"{count} bytes"
