"""Which checkpoints are kept and which may go, each with its reasons. Nothing goes that is not verified, and nothing at
all where no rule says so.

Restic's and Borg's idea of `forget`: each rule keeps, none removes; what no rule keeps goes.
"""

from collections.abc import Sequence

from outlast.facts import Fact, Retention


class Saved(Fact):
    """A step as retention sees it, with all that was saved of it (a file for each rank, model and optimizer apart): it
    stays or goes as a whole. `verified`: all of it whole, its weights finite, and as it was when that was found.
    `value` of the metric that `best` names. `holds`: why it must stay (pinned, a run resumes from it, ...)."""

    step: int
    paths: tuple[str, ...]
    verified: bool
    age_s: float = 0.0
    value: float | None = None
    holds: tuple[str, ...] = ()


class Fate(Fact):
    """`keeps` False: it may be removed. `reasons` for people."""

    step: int
    paths: tuple[str, ...]
    keeps: bool
    reasons: tuple[str, ...]


def fates(found: Sequence[Saved], rules: Retention) -> tuple[Fate, ...]:
    """Newest step first, by number. Each step stands once in `found`."""
    ordered = sorted(found, key=lambda each: each.step, reverse=True)
    verified = [each for each in ordered if each.verified]
    best = _best(verified, rules)
    return tuple(_fate(each, verified, best, rules) for each in ordered)


def _fate(each: Saved, verified: Sequence[Saved], best: Saved | None, rules: Retention) -> Fate:
    if not each.verified:
        return Fate(
            each.step, each.paths, True, ("not verified: nobody knows what would be lost", *each.holds)
        )
    place = verified.index(each)
    reasons = list(each.holds)
    if place < max(1, rules.least):
        reasons.append(f"of the last {max(1, rules.least)} verified")
    reasons += _ruled(each, place, best, rules)
    if not reasons and rules == Retention(least=rules.least):
        reasons.append("no rule says which may go")
    if reasons:
        return Fate(each.step, each.paths, True, tuple(reasons))
    return Fate(each.step, each.paths, False, (_passed(rules),))


def _ruled(each: Saved, place: int, best: Saved | None, rules: Retention) -> list[str]:
    reasons = []
    if rules.last is not None and place < rules.last:
        reasons.append(f"last {rules.last}")
    if rules.every is not None and each.step % rules.every == 0:
        reasons.append(f"every {rules.every} steps")
    if best is each:
        reasons.append(f"best {rules.best} ({each.value:g})")
    if rules.younger_s is not None and each.age_s < rules.younger_s:
        reasons.append("young")
    if rules.best and best is None:
        reasons.append(f"{rules.best} is not known for any yet")
    return reasons


def _best(verified: Sequence[Saved], rules: Retention) -> Saved | None:
    """Of equal ones the newest."""
    known = [each for each in verified if each.value is not None and each.value == each.value]
    if not rules.best or not known:
        return None
    sign = 1 if rules.best_is_max else -1
    return max(known, key=lambda each: (sign * (each.value or 0.0), each.step))


def _passed(rules: Retention) -> str:
    said = []
    if rules.last is not None:
        said.append(f"not of the last {rules.last}")
    if rules.every is not None:
        said.append(f"its step is no multiple of {rules.every}")
    if rules.best:
        said.append(f"another has a better {rules.best}")
    if rules.younger_s is not None:
        said.append("old enough")
    return ", ".join(said)
