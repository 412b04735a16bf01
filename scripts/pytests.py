"""Run pytest on those of the named places under tests/ that hold tests: `pytests.py unit crash -- -m 'not soak'`.

Knows that a room may not exist yet, and that a selection without a single test is no failure of a test. Refuses to
know anything about the tests themselves.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTHING_SELECTED = 5  # pytest's exit code


def command(names: Sequence[str], options: Sequence[str]) -> list[str] | None:
    """The pytest command for what exists of `names`; None if nothing does."""
    places = [place for name in names if (place := ROOT / "tests" / name).is_file() or _has_tests(place)]
    if not places:
        return None
    return [sys.executable, "-m", "pytest", *(str(place.relative_to(ROOT)) for place in places), *options]


def verdict(code: int) -> int:
    return 0 if code == NOTHING_SELECTED else code


def _has_tests(folder: Path) -> bool:
    return any(folder.rglob("test_*.py"))


def main() -> int:
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    found = command(words[:cut], words[cut + 1 :])
    if found is None:
        print(f"no tests yet in {', '.join(words[:cut])}")
        return 0
    return verdict(subprocess.run(found, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    sys.exit(main())
