"""Fingerprints of files: all of a small one, samples of a large one. What was hashed how is part of the answer.

What is larger than `WHOLE_MAX` is sampled at places that sizes alone decide, so that the same file has the same
fingerprint at every start. A change between two samples is not seen; who copies, trains or downloads another file
changes nearly all of it.

Knows bytes. Refuses to know what they mean.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from outlast.checkpoints.parts.reading import Deadline, Opened, opened

WHOLE_MAX = 256 << 20
SAMPLES, SAMPLE_BYTES = 64, 64 << 10
HEX = 16
FILES_MAX = 10_000
READ_MAX = 64  # files of a folder of which more is read than name and size


def short(digest: "hashlib._Hash") -> str:
    return digest.hexdigest()[:HEX]


def of_text(*words: str) -> str:
    return short(hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")))


def of_file(path: str, deadline: Deadline) -> str:
    """ "size:hash". Raises Broken, Late, OSError."""
    with opened(path, deadline) as file:
        return f"{file.size}:{of_part(file, 0, file.size)}"


def of_part(file: Opened, begin: int, count: int) -> str:
    """Raises Broken: it does not reach so far. Late, OSError."""
    return of_pieces(file, list(places(begin, count, whole=count <= WHOLE_MAX)))


def places(begin: int, count: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of what is read: all, or evenly spaced samples with the first and the last bytes among them."""
    if whole or count <= SAMPLES * SAMPLE_BYTES:
        yield begin, count
        return
    room = count - SAMPLE_BYTES
    for number in range(SAMPLES):
        yield begin + room * number // (SAMPLES - 1), SAMPLE_BYTES


def of_pieces(file: Opened, wanted: Sequence[tuple[int, int]]) -> str:
    """Of these (offset, bytes) alone. Raises Broken, Late, OSError."""
    digest = hashlib.sha256()
    for at, length in wanted:
        for piece in file.pieces(at, length):
            digest.update(piece)
    return short(digest)


def of_folder(root: str, deadline: Deadline) -> tuple[str, int]:
    """(fingerprint, number of files): names and sizes of all files below it, and the content of evenly chosen ones.
    Links to folders are not followed. Raises Broken, Late, OSError."""
    listed = sorted(_files(root, deadline))
    digest = hashlib.sha256()
    for name, size in listed:
        digest.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
    chosen = (
        listed if len(listed) <= READ_MAX else [listed[len(listed) * n // READ_MAX] for n in range(READ_MAX)]
    )
    for name, _ in chosen:
        digest.update(of_file(str(Path(root, name)), deadline).encode())
    return short(digest), len(listed)


def _files(root: str, deadline: Deadline) -> Iterator[tuple[str, int]]:
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            count += 1
            if count > FILES_MAX:
                return
            deadline.check()
            path = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isfile(path):
                yield os.path.relpath(path, root), os.stat(path).st_size
