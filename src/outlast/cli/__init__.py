"""The command `outlast`: parse, dispatch, print. Data goes to standard output, talk to standard error.

Knows how an error becomes one line and an exit code. Refuses to know what any verb does: `verbs` names the module
of each, and only that one is imported, so that `ls` and `status` stay fast.
"""

import os
import sys

from outlast.errors import BUG, CANCELLED, OK, OutlastError

_NULL = "/dev/null"


def main(words: "list[str] | None" = None) -> int:
    """Run one verb; the exit code. Never raises, except SystemExit from --help of a verb."""
    _open_missing_descriptors()
    words = sys.argv[1:] if words is None else words
    try:
        from outlast.cli.verbs import dispatch

        code = dispatch(words)
        _flush()
        return code
    except OutlastError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        _forget_output()
        return OK  # whoever read our output has seen enough
    except KeyboardInterrupt:
        return CANCELLED
    except Exception as error:  # noqa: BLE001 - the last net: it says where the traceback is
        from outlast.cli.bug import report

        _say(report(error))
        return BUG


def _flush() -> None:
    """Now rather than at exit, where a reader that left would become a traceback. It changes no exit code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()


def _forget_output() -> None:
    null = os.open(_NULL, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _say(line: str) -> None:
    try:
        print("outlast: " + " ".join(line.split("\n")), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return  # nobody listens; the exit code still says it


def _open_missing_descriptors() -> None:
    """Standard descriptors that the caller closed would be given to the next file we open, and then be written to."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(_NULL, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:  # or what is meant for it would be printed as data
        sys.stderr = os.fdopen(2, "w")
