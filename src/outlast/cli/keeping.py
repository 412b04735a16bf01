"""What outlast.yaml says of keeping checkpoints, as the values that decisions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.facts import Pins, Retention

if TYPE_CHECKING:
    from outlast.settings import Settings

UNLIMITED = 1 << 62  # a person who pins by hand has looked


def retention(settings: Settings) -> Retention | None:
    """None: no rule says which may go, so none goes."""
    rules = (settings.keep_last, settings.keep_every, settings.keep_best, settings.keep_younger_s)
    if all(rule is None for rule in rules):
        return None
    best, is_max = settings.keep_best or ("", False)
    return Retention(
        last=settings.keep_last,
        every=settings.keep_every,
        best=best,
        best_is_max=is_max,
        younger_s=settings.keep_younger_s,
        least=settings.keep_least,
    )


def pins(settings: Settings) -> Pins:
    return Pins(settings.pins_wanted, settings.pins_copy_max)
