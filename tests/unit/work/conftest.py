"""Folders that tests of slow work stand on."""

from tests.unit.disk.conftest import common_ground

__all__ = ["common_ground"]
