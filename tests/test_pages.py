"""What the pages for people may not do: name files that are not there, or tell somebody to hurt what is not his.

Knows the repository's own pages. Refuses to judge their prose.
"""

import re
from pathlib import Path

import pytest

from outlast.cli.run import ABSENT
from outlast.cli.verbs import parser_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = (ROOT, ROOT / "src" / "outlast", ROOT / "tests")
NAMED = re.compile(r"`([a-z0-9_./-]+/[a-z0-9_-]+\.(?:py|md))(?:::\w+)?`")  # NAME.py stands for any
# These end what belongs to other workspaces, and to other people's work.
BROAD = re.compile(r"\b(pkill|killall)\b|\bkill\s+(-\w+\s+)?-1\b")


def missing_files(page: str) -> list[str]:
    return [name for name in NAMED.findall(page) if not any((folder / name).exists() for folder in FOLDERS)]


def broad_kills(page: str) -> list[str]:
    return [hit.group() for hit in BROAD.finditer(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_files_that_are_there_and_end_no_process_by_a_broad_name(page: Path) -> None:
    text = page.read_text()
    assert missing_files(text) == []
    assert broad_kills(text) == []


def test_planted_slips_are_seen() -> None:
    assert missing_files("a row in `decide/no_rules.py`, not in `decide/core.py`") == ["decide/no_rules.py"]
    assert broad_kills("pkill -9 -f outlast; kill -9 123; kill -9 -1; killall python") == [
        "pkill",
        "kill -9 -1",
        "killall",
    ]


def test_what_is_said_to_be_absent_is_absent_and_the_page_of_limits_says_so() -> None:
    limits = (ROOT / "docs" / "limits.md").read_text()
    known = parser_of("run").format_help()
    for option in ABSENT:
        assert f"{option} " not in known, f"{option} exists: it is no longer to be called absent"
        assert f"`{option}`" in limits
    assert "A proof by artefact is as good as the format" in limits
