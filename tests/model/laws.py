"""What must hold in every world of the model: I1 to I6, and which worlds count as an end for I8.

I7 holds by construction: a supervisor has no memory but the fold of its history.
"""

from __future__ import annotations

from outlast.facts import AnyEntry, Asked, Book, Chosen, Declined, Done, Ended, Finished, Reopened
from tests.model.memory import Memory, in_question
from tests.model.world import Setting, World, over, valid


class Laws:
    def __init__(self, setting: Setting) -> None:
        self.setting, self.memory = setting, Memory(setting.attempts_max)
        self._wrong_histories: dict[tuple[int, ...], str | None] = {}

    def wrong(self, world: World) -> str | None:
        """The invariant that this world breaks, in words."""
        if len(world.alive) > 1:
            return f"I1: two trainings live: {sorted(world.alive)}"
        records = valid(world.segments, self.setting.unsealed)
        book, answered = self.memory.book(records)
        if records not in self._wrong_histories:
            self._wrong_histories[records] = self._wrong_in(
                [self.memory.entries[record] for record in records]
            )
        return (
            self._wrong_histories[records]
            or self._wrong_after_the_end(world, book, answered)
            or self._wrong_beginning(world)
            or self._wrong_request(world, answered)
            or self._wrong_success(world, book)
        )

    def _wrong_in(self, history: list[AnyEntry]) -> str | None:
        ended = [entry.n for entry in history if isinstance(entry, Ended)]
        if len(ended) != len(set(ended)):
            return f"I3: an attempt ended twice: {ended}"
        chosen = [entry.n for entry in history if isinstance(entry, Chosen)]
        if chosen != sorted(set(chosen)):
            return f"I3: attempts chosen out of order: {chosen}"
        finished = False
        for entry in history:
            if isinstance(entry, Reopened):
                finished = False
            elif finished and not isinstance(entry, Asked | Declined):
                return f"I2: the history goes on after the end: {type(entry).__name__}"
            elif isinstance(entry, Finished):
                finished = True
        return None

    def _wrong_after_the_end(self, world: World, book: Book, answered: int) -> str | None:
        """A retry that has no answer yet is one that the run may be opened by at any moment."""
        if not isinstance(book.phase, Done) or "retry" in world.posted[answered:]:
            return None
        if world.alive:
            return f"I2: ended, and {sorted(world.alive)} lives"
        begun = [n for n in range(1, self.setting.doors + 1) if world.claim[n] == "B"]
        ended = sorted(entry.n for entry in book.endings)
        unbegun = [n for n in ended if world.claim[n] == "S"]
        if [n for n in ended if n not in unbegun] != begun:
            return f"I3: ended; begun {begun}, and recorded as ended {ended}"
        for n in world.flight:
            if n <= self.setting.doors and world.claim[n] == "-" and over(world, n - 1):
                return f"I2: ended, and a late launch can still begin {n}"
        return None

    def _wrong_beginning(self, world: World) -> str | None:
        if world.requeued:
            return None
        chosen = self.memory.chosen
        written = {
            chosen[record] for segment in world.segments for record in segment.records if record in chosen
        }
        strays = [n for n, claim in enumerate(world.claim) if claim == "B" and n not in written]
        return f"I4: {strays} began, and no journal, valid or not, ever chose it" if strays else None

    def _wrong_request(self, world: World, answered: int) -> str | None:
        lost = [number for number in world.removed if number > answered]
        return f"I5: request {lost} was removed, and the valid history does not know it" if lost else None

    def _wrong_success(self, world: World, book: Book) -> str | None:
        for entry in book.endings:
            if entry.verdict == "finished" and world.exit[entry.n] != "ok":
                return f"I6: success of {entry.n} was invented"
        if isinstance(book.phase, Done) and book.phase.outcome == "completed" and "ok" not in world.exit:
            return "I6: a completion was invented"
        return None

    def ended(self, world: World) -> bool:
        """Whether an end was reached (or the last door of the model): I8 asks that one can be from everywhere."""
        records = valid(world.segments, self.setting.unsealed)
        if in_question(self.memory.book(records)[0]) > self.setting.doors:
            return True
        return any(isinstance(self.memory.entries[record], Finished) for record in records)
