"""Every check that is silenced says why, on its line or the one above.

Knows the words by which linter, type checker and pytest are told to look away. Refuses to judge a reason.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("src", "tests", "scripts", "benchmarks")
BARE = re.compile(r"#\s?(?:type: ignore\[[\w, -]+\]|noqa: [A-Z0-9, ]+)\s*$")
WHOLE_FILE = re.compile(r"^# (?:mypy: ignore-errors|ruff: noqa)\s*$")
WARNINGS = re.compile(r"mark\.filterwarnings\(")


def silences(path: str, text: str) -> list[str]:
    """Those that give no reason."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        above = lines[number - 2].strip() if number > 1 else ""
        needs_one_above = WARNINGS.search(line) and not above.startswith("#")
        if BARE.search(line) or WHOLE_FILE.search(line) or needs_one_above:
            found.append(f"{path}:{number}: {line.strip()}")
    return found


def test_whoever_silences_a_check_says_why() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert files
    bare = [each for path in files for each in silences(str(path.relative_to(ROOT)), path.read_text())]
    assert not bare, "\n".join(bare)


@pytest.mark.parametrize(
    "planted",
    [
        "x = y  # type: ignore" + "[misc]",
        "import y  # noqa: " + "E402",
        "# mypy: " + "ignore-errors",
        "pytestmark = pytest.mark." + 'filterwarnings("ignore")',
    ],
)
def test_a_silence_without_a_reason_is_seen(planted: str) -> None:
    assert silences("x.py", f"\n{planted}\n")
    assert not silences("x.py", f"# it warns of something that is not ours\n{planted}  # because\n")
