"""What lies in a folder of checkpoints, and how candidates and verdicts are made of it.

Knows entries of a folder. Refuses to know formats.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from outlast.checkpoints.parts import dcp_folder, names
from outlast.checkpoints.parts.faults import Broken, Late, Unknown
from outlast.checkpoints.parts.one_file import CONTENT, FINITE, NEEDED, STRUCTURE, Checked, check
from outlast.checkpoints.parts.reading import Deadline
from outlast.errors import WorldError
from outlast.facts import Candidate, Torn, Unsure, Verdict, Whole

ILL_SHOWN = NOTES_MAX = 3
ILL_MAX = 64
PARTICULAR, OTHERS = 4, 8  # of two candidates of one step the one that says more of itself is meant
FILES_MAX = 1_000_000


class Entry(NamedTuple):
    name: str
    path: str
    is_folder: bool
    bytes: int
    mtime_ns: int


def entries(root: Path) -> list[Entry]:
    """Folders and regular files, links followed; nothing where there is no such folder. Raises WorldError."""
    found = []
    try:
        with os.scandir(root) as listed:
            for entry in listed:
                try:
                    status = entry.stat()
                except OSError as error:
                    if error.errno not in (errno.ENOENT, errno.ELOOP):
                        found.append(
                            Entry(entry.name, entry.path, False, 0, 0)
                        )  # whoever opens it says what is wrong
                    continue  # deleted since it was listed, or a link to nothing or to itself
                is_folder = stat.S_ISDIR(status.st_mode)
                if is_folder or stat.S_ISREG(status.st_mode):
                    size = 0 if is_folder else status.st_size
                    found.append(Entry(entry.name, entry.path, is_folder, size, status.st_mtime_ns))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(f"cannot list the checkpoints in {root}: {error.strerror}") from error
    return found


def folders(root: Path) -> dict[str, frozenset[str]]:
    """By path, what lies in each finished folder. Raises WorldError."""
    return {
        entry.path: names_in(entry.path)
        for entry in entries(root)
        if entry.is_folder and not names.is_unfinished(entry.name)
    }


def candidates(
    root: Path,
    limit: int,
    kind: str,
    recognises: Callable[[Entry], bool],
    step_of: Callable[[str], int | None],
    particular: int = PARTICULAR,
) -> list[Candidate]:
    """Those of the entries that are finished and recognised, newest step first. Raises WorldError."""
    found = [
        Candidate(
            entry.path,
            kind,
            step_of(entry.name),
            entry.bytes,
            1,
            entry.mtime_ns,
            preference=particular
            + names.is_exact(entry.name)
            - OTHERS * names.is_beside_the_model(entry.name),
        )
        for entry in entries(root)
        if not names.is_unfinished(entry.name) and recognises(entry)
    ]
    found.sort(
        key=lambda each: (-1 if each.step is None else each.step, each.preference, each.newest_mtime_ns),
        reverse=True,
    )
    return found[:limit]


def names_in(path: str) -> frozenset[str]:
    """Of a folder; none where it cannot be read."""
    try:
        return frozenset(os.listdir(path))
    except OSError:
        return frozenset()


def walk(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """All folders below with their folders and files, without following links to folders. Raises OSError."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders.sort()
        yield folder, folders, sorted(files)


class Part(NamedTuple):
    """A file to check: its name for people, its path, and whether its numbers are weights."""

    name: str
    path: str
    weighs: Callable[[str], bool]
    role: str = NEEDED


class Folder(NamedTuple):
    """A folder of torch.distributed.checkpoint to check."""

    name: str
    path: str
    weighs: Callable[[str], bool]


class Own(NamedTuple):
    """A part that a format checks by a reader of its own, which raises Broken, Unknown, OSError."""

    name: str
    path: str
    weighs: Callable[[str], bool]
    check: Callable[[str, int, Deadline, Callable[[str], bool]], Checked]


def judged(
    candidate: Candidate,
    parts: Callable[[Deadline], Iterable[Part | Folder | Own]],
    level: int,
    within_s: float,
) -> Verdict:
    """`parts` raises Broken or Unknown for what is wrong beyond single files; each part is then checked: all for their
    structure, and then for their content as far as the time reaches."""
    deadline = Deadline(within_s)
    reached, count, ill, notes = level, 0, [], list[str]()
    is_structure_whole = False
    try:
        found = list(islice(parts(deadline), FILES_MAX + 1))
        if len(found) > FILES_MAX:
            raise Unknown(f"it has more than {FILES_MAX} files")
        rest = [part for part in found if not _checked(part, STRUCTURE, deadline).is_all]
        is_structure_whole = True
        reached = min(reached, STRUCTURE) if len(rest) < len(found) else reached
        for part in rest if level > STRUCTURE else ():
            checked = _checked(part, level, deadline)
            count += checked.seen
            ill += [_said(part.name, name) for name in checked.ill]
            notes += [_said(part.name, note) for note in checked.notes]
            reached = min(reached, checked.level)
    except Broken as error:
        return Torn((str(error),)) if os.path.lexists(candidate.path) else Unsure(("it is gone",))
    except Late as error:
        if not is_structure_whole:
            return Unsure((str(error),))
        return Whole(STRUCTURE, notes=(f"of its content not all was read: {error}",))
    except Unknown as error:
        return Unsure((str(error),))
    except OSError as error:
        return Unsure((f"cannot be read: {error.strerror or error}",))
    except Exception as error:  # noqa: BLE001 - bytes that somebody else wrote: whatever they are, they end no start
        return Unsure((f"cannot be judged ({type(error).__name__}: {str(error)[:99]})",))
    if ill:
        more = f" and {len(ill) - ILL_SHOWN} more" if len(ill) > ILL_SHOWN else ""
        notes.append(f"not finite: {', '.join(ill[:ILL_SHOWN])}{more}")
    finite = None if level < FINITE or not count else not ill
    few = tuple(sorted(ill)) if len(ill) <= ILL_MAX and 2 * len(ill) < count else ()
    return Whole(min(reached, CONTENT), finite=finite, notes=tuple(notes[-NOTES_MAX:]), ill=few)


def _checked(part: Part | Folder | Own, level: int, deadline: Deadline) -> Checked:
    try:
        if isinstance(part, Own):
            return part.check(part.path, level, deadline, part.weighs)
        if isinstance(part, Folder):
            return dcp_folder.check(part.path, level, deadline, part.weighs)
        return check(part.path, level, deadline, part.weighs, part.role)
    except Late:
        raise
    except Broken as error:
        raise Broken(_said(part.name, str(error))) from error
    except Unknown as error:
        raise Unknown(_said(part.name, str(error))) from error
    except FileNotFoundError as error:
        if isinstance(part, Part) and part.role != NEEDED:
            return Checked(STRUCTURE, notes=("a link to nothing",))
        raise Broken(_said(part.name, "it is not there")) from error
    except OSError as error:
        raise Unknown(_said(part.name, f"it cannot be read: {error.strerror}")) from error


def _said(name: str, words: str) -> str:
    return f"{name}: {words}" if name else words
