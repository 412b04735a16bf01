"""Which program a command means: resolved once, where and when the run is accepted.

Knows PATH and the usual slips. Refuses to start anything.
"""

import os
import re
import shutil

from outlast.errors import UserError

NAME_CHARS_MAX = 40
SDK_BYTES_MAX = 1 << 20


def resolved(argv: tuple[str, ...], cwd: str, path: str) -> tuple[str, ...]:
    """`argv` with an absolute program, by the caller's PATH. Raises UserError naming it."""
    for position, word in enumerate(argv):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UserError(f"word {position + 1} of the command is not UTF-8 text: {word!r}") from None
    word = argv[0]
    if not word:
        raise UserError("the command's first word is empty: write the program's name")
    if os.sep in word:
        return (_checked(os.path.join(cwd, os.path.expanduser(word)), word), *argv[1:])
    found = shutil.which(
        word, path=os.pathsep.join(os.path.join(cwd, part or ".") for part in path.split(os.pathsep))
    )
    if found is None:
        here = os.path.join(cwd, word)
        hint = f"; did you mean ./{word}?" if os.path.isfile(here) else ": check its name, or write its path"
        raise UserError(f"{word}: no such program on PATH{hint}")
    return (found, *argv[1:])


def check_is_text(path: str) -> None:
    """Records and command lines name it. Raises UserError."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{ascii(os.fsencode(path))[1:]}: the name of this folder is not UTF-8 text: rename it"
        ) from None


def name_of(argv: tuple[str, ...]) -> str:
    """A name for the run: the script's stem, else the module's or the program's own."""
    for position, word in enumerate(argv[1:], start=1):
        if argv[position - 1] == "-m" and not word.startswith("-"):
            return sanitized(word.rpartition(".")[2] if position == len(argv) else word.split(".")[-1])
        if word.endswith((".py", ".sh", ".bash", ".pl", ".jl", ".R", ".lua")):
            return sanitized(os.path.splitext(os.path.basename(word))[0])
    return sanitized(os.path.splitext(os.path.basename(argv[0]))[0])


def sanitized(name: str) -> str:
    """What may stand in a run's id; "run" if nothing is left."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")
    return clean[:NAME_CHARS_MAX].rstrip("-._") or "run"


def speaks_to_us(argv: tuple[str, ...], cwd: str) -> bool:
    """Whether a script among the words mentions outlast: then it probably resumes by itself. A guess for a message."""
    for word in argv[1:]:
        if not word.endswith(".py"):
            continue
        try:
            with open(os.path.join(cwd, word), "rb") as file:
                if b"outlast" in file.read(SDK_BYTES_MAX):
                    return True
        except OSError:
            continue
    return False


def _checked(path: str, word: str) -> str:
    if os.path.isdir(path):
        raise UserError(f"{word}: is a folder, not a program")
    if not os.path.exists(path):
        raise UserError(f"{word}: there is no such program")
    if not os.access(path, os.X_OK):
        hint = f", or `-- python {word}`" if word.endswith(".py") else ""
        raise UserError(f"{word}: may not be executed: `chmod +x {word}`{hint}")
    return os.path.normpath(path)
