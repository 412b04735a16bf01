"""Folders that contract suites stand on."""

from tests.unit.disk.conftest import common_ground

__all__ = ["common_ground"]
