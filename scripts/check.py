"""`make check`: everything that can be known about the code in a minute, side by side.

Knows the commands and that they do not depend on each other. Prints what failed in full, what passed in one line, and
the tests' own words always.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import pytests

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TEST_PLACES = ("test_house.py", "test_scenarios.py", "unit", "contract", "simulate")
WORKERS = "4"  # some tests wait more than they work


class Step(NamedTuple):
    name: str
    command: list[str]


class Outcome(NamedTuple):
    step: Step
    code: int
    seconds: float
    said: str


def steps() -> Iterator[Step]:
    tests = pytests.command(
        TEST_PLACES, ["-m", "not soak and not slow and not alone", "-n", WORKERS, "--dist", "worksteal"]
    )
    if tests is not None:
        yield Step("tests", tests)
    kept = ("src", "tests", "scripts", "benchmarks")
    yield Step("types", [str(BIN / "mypy"), *(name for name in kept if any((ROOT / name).rglob("*.py")))])
    yield Step("floors", [str(BIN / "lint-imports"), "--no-logo"])
    yield Step("lint", [str(BIN / "ruff"), "check", "."])
    for script in ("reference", "scenarios"):
        yield Step("pages", [sys.executable, f"scripts/{script}.py", "--check"])
    yield Step("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."])


def run(step: Step) -> Outcome:
    begun = time.monotonic()
    done = subprocess.run(
        step.command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    code = pytests.verdict(done.returncode) if step.name == "tests" else done.returncode
    return Outcome(step, code, time.monotonic() - begun, done.stdout)


def main() -> int:
    failed = []
    with ThreadPoolExecutor() as pool:
        for future in as_completed([pool.submit(run, step) for step in steps()]):
            outcome = future.result()
            if outcome.code or outcome.step.name == "tests":
                print(outcome.said.rstrip())
            print(
                f"{outcome.step.name:8}{'FAILED' if outcome.code else 'ok':8}{outcome.seconds:5.1f} s",
                flush=True,
            )
            if outcome.code:
                failed.append(outcome.step.name)
    if failed:
        print(f"check: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
