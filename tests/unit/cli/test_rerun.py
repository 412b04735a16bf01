"""Which changes a rerun makes to a command."""

import pytest

from outlast.cli.rerun import changed
from outlast.errors import UserError


@pytest.mark.parametrize(
    ("old", "changes", "new"),
    [
        ("p t.py --lr 1 --x", "--lr 2", "p t.py --lr 2 --x"),
        ("p t.py --lr=1 --x", "--lr=2", "p t.py --lr=2 --x"),
        ("p t.py --lr=1 --x", "--lr 2", "p t.py --lr 2 --x"),
        ("p t.py --lr 1 --x", "--lr=2", "p t.py --lr=2 --x"),
        ("p t.py --sizes 1 2 3 --x", "--sizes 4 5", "p t.py --sizes 4 5 --x"),
        ("p t.py", "--new 1", "p t.py --new 1"),
        ("p t.py --flag", "--flag", "p t.py --flag"),
        ("p t.py lr=1 y=2", "lr=3", "p t.py lr=3 y=2"),
        ("p t.py lr=1", "z=3", "p t.py lr=1 z=3"),
        ("p t.py --lr 1", "--lr -2", "p t.py --lr -2"),
        ("p t.py --lr 1", "--lr -1e-4", "p t.py --lr -1e-4"),
        ("p t.py --a 1 --b 2", "--b 3 --a 4", "p t.py --a 4 --b 3"),
        ("p t.py --a 1", "", "p t.py --a 1"),
    ],
)
def test_a_change_takes_the_place_of_the_same_option(old: str, changes: str, new: str) -> None:
    assert changed(tuple(old.split()), tuple(changes.split())) == tuple(new.split())


@pytest.mark.parametrize("changes", ["word", "--lr=1 2", "a=1 word"])
def test_a_word_that_changes_nothing_known_is_refused(changes: str) -> None:
    with pytest.raises(UserError, match="a change is"):
        changed(("p", "t.py"), tuple(changes.split()))
