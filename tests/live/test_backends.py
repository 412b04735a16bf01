"""A backend that is added as docs/adding-a-backend.md says: a run is accepted for it, lives by it, and says so."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from outlast.disk import files
from tests.live.workspace import PYTHON, Bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
# The command with one more row in the table of backends.
WITH_TOY = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.cli import backends, main; "
    "from tests.contract.toy_backend import ToyBackend; backends.TABLE['toy'] = ToyBackend; "
    "sys.exit(main(sys.argv[1:]))"
)
FAILS_ONCE = "test -e again || { touch again; exit 5; }; echo done"


def with_toy(outlast: Bench, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [PYTHON, "-c", WITH_TOY, str(ROOT), "--workspace", str(outlast.root), *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=outlast.env, cwd=outlast.root, timeout=60
    )


def test_a_run_lives_by_the_backend_that_it_was_accepted_for(outlast: Bench) -> None:
    done = with_toy(
        outlast, "run", "--inline", "--backend", "toy", "--backoff", "0", "--", "sh", "-c", FAILS_ONCE
    )
    assert done.returncode == 0, done.stderr
    run = outlast.newest_run()
    assert run is not None
    assert (files.read(run.record) or {})["backend"] == "toy"
    shown = outlast.show(run)
    assert (shown["phase"], shown["outcome"]) == ("ended", "completed")
    assert [attempt["backend"] for attempt in shown["attempts"]] == ["toy", "toy"]
    assert [(files.read(run.attempt(n).claim) or {})["where"]["backend"] for n in (1, 2)] == ["toy", "toy"]
    assert outlast.output(run, 2) == "done\n"


def test_a_run_of_a_backend_that_nobody_knows_waits_says_why_and_keeps_no_other(outlast: Bench) -> None:
    """Its supervisor is of a version that has no such backend."""
    accepted = with_toy(outlast, "run", "--backend", "toy", "--detach", "--", "touch", "ran")
    assert accepted.returncode == 0, accepted.stderr
    other = outlast.start(command=["true"])
    assert outlast.ended(other)["outcome"] == "completed"
    rows = {row["id"]: row for row in json.loads(outlast.outlast("ls", "--all", "--json").stdout)}
    stranger = rows[accepted.stdout.strip()]
    assert stranger["phase"] == "queued" or stranger["phase"] == "launching"
    assert "knows no backend toy" in stranger["why"]
    assert not os.path.exists(outlast.root / "ran")
