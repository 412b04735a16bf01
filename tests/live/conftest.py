"""Live tests: real processes, killed for real."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.workspace import Bench, bench


@pytest.fixture
def outlast(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made
