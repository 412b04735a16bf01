"""Folders that tests of the ground floor stand on."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def common_ground() -> Iterator[Path]:
    """A folder in which any user may do anything (pytest's own lie behind a folder that only we may enter)."""
    folder = Path(tempfile.mkdtemp(prefix="outlast-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
