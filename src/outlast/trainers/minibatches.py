"""Where a training's data come from: minibatches of a text, handed to one thread at a time.

Knows a bug, too, for the demonstration of a training that hangs: a lock that is taken twice. Refuses to know who
draws, and when the bug is met.
"""

import threading

import numpy as np

from outlast.trainers import character_model as model


class Minibatches:
    def __init__(self, text: model.Integers, size: int) -> None:
        self._contexts, self._targets = model.windows(text)
        self._size = size
        self._lock = threading.Lock()

    def draw(
        self, generator: np.random.Generator, *, meet_the_bug: bool = False
    ) -> tuple[model.Integers, model.Integers]:
        """Contexts (B x C) and the characters that follow (B)."""
        with self._lock:
            if meet_the_bug:
                self.places()
            drawn = generator.integers(len(self._targets), size=self._size)
            return self._contexts[drawn], self._targets[drawn]

    def places(self) -> int:
        """How many there are to draw from."""
        with self._lock:  # draw() holds it: it waits for itself
            return len(self._targets)
