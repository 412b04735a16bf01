"""Planted bugs of the table of backends. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

TABLE, LIVE = "tests/unit/cli/test_backends.py", "tests/live/test_backends.py"

BACKENDS = (
    Mutant(
        "every-run-is-local",
        "which backend a run was accepted for is not asked",
        (
            Patch(
                "cli/backends.py",
                '            self._names[run] = str(record.get("backend", DEFAULT))\n',
                "            self._names[run] = DEFAULT\n",
            ),
        ),
        (TABLE,),
    ),
    Mutant(
        "one-blind-backend-blinds-all",
        "a backend that cannot look ends the turn for the runs of all others",
        (
            Patch(
                "cli/backends.py",
                "            except WorldError as error:\n                seen.update(",
                "            except ZeroDivisionError as error:\n                seen.update(",
            ),
        ),
        (TABLE,),
    ),
    Mutant(
        "the-order-names-no-backend",
        "an attempt is launched by the local backend, whatever its run was accepted for",
        (Patch("decide/orders.py", "        backend=spec.backend,\n", ""),),
        ("tests/unit/decide/test_orders.py", f"{LIVE} -k lives_by"),
    ),
    Mutant(
        "every-claim-is-local",
        "the claim does not say whose attempt it is",
        (Patch("runner/life.py", '"backend": order["backend"]', '"backend": "local"'),),
        (f"{LIVE} -k lives_by",),
    ),
    Mutant(
        "any-backend-is-accepted",
        "a run is accepted for a backend that nobody knows",
        (Patch("cli/run.py", "    backends.check(spec.backend)\n", ""),),
        ("tests/unit/cli/test_run.py -k backend",),
    ),
    Mutant(
        "who-cannot-be-seen-holds-a-slot",
        "a run that waits and cannot be seen takes the place of those behind it",
        (
            Patch(
                "supervise/turn.py",
                "            elif isinstance(book.phase, Waiting) and not isinstance(seen[run].presence, Unseen):\n",
                "            elif isinstance(book.phase, Waiting):\n",
            ),
        ),
        (f"{LIVE} -k nobody_knows",),
    ),
)
