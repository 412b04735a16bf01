"""Which rank the others wait for. Pure: steps, states and stacks in, a name and its reason out.

In a training of many ranks all but one usually hang in a collective, for the one that does not come. That one has done
fewer steps, or stands somewhere else. A rank that raised or died first may only have been the first to lose patience.
Not knowing is an answer. Refuses to know how the stacks were had.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.runner.frames import Frame

# Where a rank stands, by how much it speaks against it.
WAITS, MAY_WAIT, LEAVES, UNSEEN, ELSEWHERE, STOPPED = range(6)

TALKING = (
    "torch/distributed/", "deepspeed/comm/", "horovod/", "mpi4py/", "torchft/", "accelerate/utils/operations.py",
)  # fmt: skip
PLUMBING = (
    *TALKING, "torch/autograd/", "torch/_tensor.py", "torch/cuda/", "torch/utils/_contextlib.py",
    "torch/nn/parallel/distributed.py", "jax/_src/", "lightning/fabric/", "contextlib.py",
)  # fmt: skip
COLLECTIVES = frozenset(
    "all_reduce all_reduce_coalesced allreduce all_gather allgather all_gather_into_tensor all_gather_object "
    "all_to_all all_to_all_single barrier monitored_barrier broadcast broadcast_object_list broadcast_coalesced "
    "gather gather_object reduce reduce_scatter reduce_scatter_tensor scatter scatter_object_list send recv irecv "
    "isend batch_isend_irecv wait wait_all synchronize _store_based_barrier store_based_barrier init_process_group "
    "_new_process_group_helper new_group Allreduce Barrier Bcast Allgather Alltoall".split()
)
MAY_WAIT_IN = frozenset(
    "backward _engine_run_backward synchronize item block_until_ready _sync_params forward".split()
)
# What a call of C code looks like where it stands: such a function has no frame of its own.
COLLECTIVE_CALLS = tuple(
    f".{name}("
    for name in "all_reduce allreduce all_gather allgather barrier broadcast reduce_scatter all_to_all "
    "Allreduce Allgather Barrier Bcast Alltoall wait".split()
)
MAY_WAIT_CALLS = (".item(", ".cpu(", ".tolist(", ".synchronize(", ".block_until_ready(")
LEAVING = frozenset("_shutdown destroy_process_group _exit_function _run_exitfuncs _python_exit".split())
DEAD = ("Z", "X", "x", "")
NAMED_MAX = 8
ODD_LEAST = 3  # of two that stand apart either may be the one


class Standing:
    """One rank (`rank` None: not known to be one). `step` None: it never said one. `frames`: of its main thread,
    innermost first, None if it showed no stack; `line`: the source where it stands, "" if it could not be read."""

    __slots__ = ("frames", "line", "pid", "rank", "state", "step")

    def __init__(
        self,
        rank: int | None,
        pid: int,
        state: str,
        step: int | None,
        frames: Sequence[Frame] | None,
        line: str = "",
    ) -> None:
        self.rank, self.pid, self.state, self.step = rank, pid, state, step
        self.frames, self.line = frames, line

    @property
    def name(self) -> str:
        return f"process {self.pid}" if self.rank is None else f"rank {self.rank}"


class Culprit:
    """`pid` None: unknown; `why` then says what is in the way."""

    __slots__ = ("pid", "rank", "why")

    def __init__(self, who: Standing | None, why: str) -> None:
        self.rank: int | None = None if who is None else who.rank
        self.pid: int | None = None if who is None else who.pid
        self.why = why


def name(ranks: Sequence[Standing]) -> Culprit:
    """The lowest step; among equals who stands outside of the collective that the others are in. Whoever is in a
    collective waits for somebody, and is not it while another is known to stand outside."""
    if not ranks:
        return Culprit(None, "no rank is known")
    if len(ranks) == 1:
        return Culprit(ranks[0], f"the only rank; it {_where(ranks[0])}")
    behind = _behind(ranks)
    worst = max(map(place, ranks))
    if behind and not (worst >= ELSEWHERE and all(place(each) == WAITS for each in behind)):
        others = next(each for each in ranks if each not in behind)
        who = max(behind, key=place)
        return Culprit(who, f"at step {who.step}, behind {others.name} at {others.step}; it {_where(who)}")
    return _outsider(ranks, worst)


def _behind(ranks: Sequence[Standing]) -> list[Standing]:
    """Who did fewest steps, if all say theirs and they differ."""
    steps = [each.step for each in ranks if each.step is not None]
    if len(steps) < len(ranks) or min(steps) == max(steps):
        return []
    return [each for each in ranks if each.step == min(steps)]


def _outsider(ranks: Sequence[Standing], worst: int) -> Culprit:
    suspects = [each for each in ranks if place(each) == worst]
    others = [each for each in ranks if place(each) < worst]
    if not others:
        odd = _odd_one(ranks) if worst == ELSEWHERE else None
        return Culprit(None, _alike(ranks, worst)) if odd is None else odd
    if min(map(place, others)) >= UNSEEN:
        return Culprit(None, f"{suspects[0].name} {_where(suspects[0])}; {_places(others)}")
    more = f"; stands like it: {_names(suspects[1:])}" if len(suspects) > 1 else ""
    return Culprit(suspects[0], f"it {_where(suspects[0])}; {_places(others)}{more}")


def _odd_one(ranks: Sequence[Standing]) -> Culprit | None:
    """Where a training waits in code of its own, which nobody knows for a collective: of three or more ranks the one
    that stands elsewhere, if all others stand in one function."""
    few, *more = sorted(_by_function(ranks), key=len)
    if len(ranks) < ODD_LEAST or len(few) != 1 or len(more) != 1:
        return None
    return Culprit(few[0], f"it {_where(few[0])}; all others alike: {more[0][0].name} {_where(more[0][0])}")


def _by_function(ranks: Sequence[Standing]) -> list[list[Standing]]:
    found: dict[tuple[str, str], list[Standing]] = {}
    for each in ranks:
        frame = next((frame for frame in each.frames or () if frame.is_own), None)
        found.setdefault(("", "") if frame is None else (frame.file, frame.function), []).append(each)
    return list(found.values())


def _alike(ranks: Sequence[Standing], at: int) -> str:
    """Why nobody is named where all stand alike."""
    if at != WAITS:
        places = len(_by_function(ranks))
        how = "alike" if places == 1 else f"in code of their own, at {places} places"
        return f"all ranks stand {how}: {ranks[0].name} {_where(ranks[0])}"
    found: dict[str, list[Standing]] = {}
    for each in ranks:
        found.setdefault(_collective(each) or "a collective", []).append(each)
    if len(found) == 1:
        return f"all ranks wait in {next(iter(found))}: a peer elsewhere, or the network"
    return "all ranks wait, but not in the same collective: " + ", ".join(
        f"{_names(who)} in {what}" for what, who in found.items()
    )


def place(who: Standing) -> int:
    if who.state in ("T", "t"):
        return STOPPED
    if who.state in DEAD:
        return LEAVES
    if not who.frames:
        return ELSEWHERE if who.state == "D" else UNSEEN  # who waits for a peer is in S or R
    if any(_word(frame) in LEAVING and not frame.is_own for frame in who.frames):
        return LEAVES
    if _collective(who):
        return WAITS
    if any(call in who.line for call in MAY_WAIT_CALLS):
        return MAY_WAIT
    is_waiting = any(_word(frame) in MAY_WAIT_IN for frame in _innermost(who))
    return MAY_WAIT if is_waiting else ELSEWHERE


def _collective(who: Standing) -> str:
    """The outermost collective that it is in, "" if none."""
    words = [
        _word(frame)
        for frame in _innermost(who)
        if _word(frame) in COLLECTIVES and any(folder in frame.file for folder in TALKING)
    ]
    if words:
        return words[-1]
    return next((call[1:-1] for call in COLLECTIVE_CALLS if call in who.line), "")


def _innermost(who: Standing) -> Iterator[Frame]:
    """Its innermost frames, as long as they are the libraries' plumbing: behind them lies all of the training, and
    with it every wrapper of every library."""
    for frame in who.frames or ():
        if not any(folder in frame.file for folder in PLUMBING):
            return
        yield frame


def _word(frame: Frame) -> str:
    return frame.function.rpartition(".")[2]


def _where(who: Standing) -> str:
    at = place(who)
    if at == STOPPED:
        return "is stopped (state T)"
    if who.state in DEAD:
        return "has ended"
    if not who.frames:
        return f"shows no stack (state {who.state or 'unknown'})"
    own = next((frame for frame in who.frames if frame.is_own), who.frames[0])
    if at == WAITS:
        return f"waits in {_collective(who)} ({own})"
    return f"is leaving ({own})" if at == LEAVES else f"stands at {own}"


def _places(others: Sequence[Standing]) -> str:
    """ "in a collective: rank 0, rank 2"."""
    texts = {
        WAITS: "in a collective",
        MAY_WAIT: "where one may wait for a collective",
        LEAVES: "ended or leaving",
        UNSEEN: "without a stack",
        ELSEWHERE: "elsewhere",
    }
    found = {text: [each for each in others if place(each) == at] for at, text in texts.items()}
    return "; ".join(f"{text}: {_names(who)}" for text, who in found.items() if who)


def _names(who: Sequence[Standing]) -> str:
    shown = ", ".join(each.name for each in who[:NAMED_MAX])
    return shown if len(who) <= NAMED_MAX else f"{shown} and {len(who) - NAMED_MAX} more"
