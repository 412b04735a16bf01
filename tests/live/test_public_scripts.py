"""Public training scripts that know nothing of outlast, killed once behind their first checkpoint, go on as
docs/frameworks.md says. Those whose libraries are not among the project's own are run by
`python -m tests.corpus.public` only."""

from pathlib import Path

import pytest

from tests.corpus.public import is_as_told
from tests.corpus.table import PROGRAMS
from tests.corpus.trial import Trial

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(900)]
OURS = {"torch", "transformers", "accelerate", "lightning", "peft"}
HERE = {program.name: program for program in PROGRAMS if set(program.needs) <= OURS}


@pytest.mark.parametrize("name", HERE)
def test_a_public_script_goes_on_by_its_own_convention_and_reaches_the_end(tmp_path: Path, name: str) -> None:
    found = Trial(HERE[name], tmp_path).run()
    assert is_as_told(HERE[name], found), found


def test_most_of_the_table_is_run_here() -> None:
    assert len(HERE) >= 14
