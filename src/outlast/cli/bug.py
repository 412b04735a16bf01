"""What becomes of an exception that nobody expected: a file with the traceback, and one line that names it.

Refuses to know what went wrong.
"""

import os
import sys
import tempfile
import time
import traceback

import outlast
from outlast.disk import files
from outlast.errors import OutlastError


def report(error: BaseException) -> str:
    """One line for the person; the traceback goes to a file of theirs, if any can be written."""
    trace = "".join(traceback.format_exception(error))
    words = " ".join(sys.argv[:3])
    body = f"outlast {outlast.__version__}, Python {sys.version}\n{words} ...\n\n{trace}"
    head = f"a bug of outlast ({type(error).__name__}: {error}); runs are not touched by it"
    for folder in _folders():
        path = os.path.join(folder, f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt")
        try:
            files.make_directory(folder)
            files.replace_bytes(path, body.encode(errors="backslashreplace"))
        except OutlastError:
            continue
        return f"{head}; please report it with {path}"
    return f"{head}; its traceback could not be written anywhere: {trace!r}"


def _folders() -> list[str]:
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return [os.path.join(home, "outlast"), os.path.join(tempfile.gettempdir(), f"outlast-bugs-{os.getuid()}")]
