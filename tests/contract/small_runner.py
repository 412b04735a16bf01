"""A runner of the least that the protocol asks for, to try a backend without the real one. It stands in for
`outlast/runner/life.py` in a copy of the ground floor.

Claim locked from birth, the training held until started.json stands, adoption, the wish, exit.json made once.
"""

import os
import signal
import sys
from typing import Any

from outlast.disk import attempt, clock, files, identity
from outlast.disk.layout import AttemptFolder

NOBODY_SAW_IT = {"type": "Lost", "why": "its runner was gone when it ended"}


def main() -> int:
    if len(sys.argv) == 1:  # in waiting: told through standard input, once or never
        words = sys.stdin.buffer.read().split(b"\0")
        if len(words) != 3:
            return 0
        sys.argv += map(os.fsdecode, words[:2])
    folder = AttemptFolder(sys.argv[1])
    before = folder.before()
    if before is not None and not attempt.is_over(before):
        return 75
    if files.read(folder.run().record) is None and files.read(folder.claim) is None:
        return 75
    signal.signal(signal.SIGUSR2, lambda number, frame: obey(folder))
    me = identity.identity()
    where = {"type": "Where", "backend": "local", "host": me["host"]}
    claim = {
        "schema": 1,
        "kind": "begun",
        "by": me,
        "where": where,
        "order": sys.argv[2],
        "at": clock.moment(),
    }
    made = files.make_once(folder.claim, claim, lock=True)
    return begin(folder) if made.ours else take_over(folder, made.record)


def begin(folder: AttemptFolder) -> int:
    order = files.read(os.path.join(folder.path, sys.argv[2])) or {}
    gate, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(go)
        if os.read(gate, 1):
            os.chdir(order["cwd"])
            os.execv(order["argv"][0], order["argv"])
        os._exit(1)
    files.make_once(folder.started, {"schema": 1, "child": identity.identity(child), "at": clock.moment()})
    os.write(go, b"x")
    obey(folder)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    end(folder, {"type": "Exited", "code": code} if code >= 0 else {"type": "Signalled", "signal": -code})
    return 0


def take_over(folder: AttemptFolder, claim: dict[str, Any]) -> int:
    lock = files.open_lock(folder.claim)
    if claim["kind"] == "shut" or not files.try_lock_patiently(lock) or files.read(folder.exit):
        return 75
    started = files.read(folder.started)
    if started is None:
        end(folder, {"type": "NeverBegan", "why": "its runner died before the start"})
        return 0
    obey(folder)
    training = identity.open_pidfd(started["child"])
    if training is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        import select

        select.select([training], [], [])
    end(folder, NOBODY_SAW_IT)
    return 0


def obey(folder: AttemptFolder) -> None:
    wish, started = files.read(folder.wish), files.read(folder.started)
    if wish is not None and started is not None and wish["want"] != "run":
        identity.send(started["child"], signal.SIGTERM)


def end(folder: AttemptFolder, how: dict[str, Any]) -> None:
    by = {"type": "Process", **identity.identity()}
    at = {"type": "Moment", **clock.moment()}
    files.make_once(folder.exit, {"schema": 1, "type": "Ending", "exit": how, "at": at, "by": by})
