"""What of a run may not change, and what becomes of it if it does."""

from typing import Literal

from outlast.facts.fact import Fact, Pairs

MUST_MATCH = ("base_model", "tokenizer", "architecture", "max_length", "lora", "lineage")
WARN = ("data", "code", "versions", "seed", "world_size", "arguments")
FREE = ("paths", "logging", "workers")
KEYS = (*MUST_MATCH, *WARN)  # those that are read without anybody naming them

CodeChange = Literal["hold", "warn"]


class Locking(Fact):
    """What a person wants locked, as outlast.yaml and the options said when the run was accepted; it stays so for life.
    `given`: KEY=PATH|VALUE. A key that no list names was named by a person: it must match."""

    given: Pairs
    must_match: tuple[str, ...] = MUST_MATCH
    warn: tuple[str, ...] = WARN
    free: tuple[str, ...] = FREE
    code: CodeChange = "hold"
