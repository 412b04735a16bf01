"""What holds for every test: its time limit, its mark, and that the caller's own runs do not reach it.

Refuses to know any room: fixtures live beside the tests that use them.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Folders whose tests start real processes: marked by where they lie, with more time than the 60 s of all others.
REAL_PROCESSES_LIMIT_S = {"crash": 600, "live": 600}
SOAK_LIMIT_S = 3600
CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def pytest_configure() -> None:
    # A test run inside an outlast run must not write to the run around it.
    for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
        del os.environ[name]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads of theirs only wait for each other


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = _folder(item.path)
        limit = REAL_PROCESSES_LIMIT_S.get(folder)
        if limit is not None:
            item.add_marker(folder)
        if item.get_closest_marker("soak"):
            limit = SOAK_LIMIT_S
        if limit is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(limit))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a skip is a failure: what was not run was not shown to work."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report


def _folder(path: Path) -> str:
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
