"""What a checkpoint says of the training that made it: adapter_config.json, config.json, its tokenizer.

`training_args.bin` is a pickle, and never read. Refuses to know whether it is the right one.
"""

import os
from typing import Any, NamedTuple

from outlast.checkpoints.lock import base
from outlast.checkpoints.lock.declared import normal
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Identity, Known, Trait

SAVED = "of the checkpoint"  # the libraries write it anew: it is compared with its like only


class Told(NamedTuple):
    """`base_model`: how the adapter's configuration names it, "" if it does not."""

    identity: Identity
    base_model: str = ""
    revision: str = ""


def read(checkpoint: str, deadline: Deadline) -> Told:
    source = os.path.basename(checkpoint)
    if not os.path.isdir(checkpoint):
        return Told(Identity(()))
    traits: list[tuple[str, Trait]] = []
    adapter = _adapter(checkpoint, deadline)
    if adapter is not None:
        traits.append(("lora", lora(adapter, f"{source}/{base.ADAPTER}")))
    for key, trait in (
        ("architecture", base.architecture(checkpoint, f"{source}/config.json", deadline, f"config {SAVED}")),
        ("tokenizer", base.tokenizer(checkpoint, source, deadline, f"files {SAVED}")),
    ):
        if isinstance(trait, Known):
            traits.append((key, trait))
    about = adapter or {}
    return Told(
        Identity(tuple(traits)),
        str(about.get("base_model_name_or_path") or ""),
        str(about.get("revision") or ""),
    )


def lora(adapter: dict[str, Any], source: str) -> Known:
    wanted = {"r": "r", "alpha": "lora_alpha", "targets": "target_modules", "kind": "peft_type"}
    fields = tuple(
        (name, _plain(adapter[told])) for name, told in wanted.items() if adapter.get(told) is not None
    )
    return Known(", ".join(f"{name} {value}" for name, value in fields), "lora", source, fields, partial=True)


def _adapter(checkpoint: str, deadline: Deadline) -> dict[str, Any] | None:
    try:
        return base.read_json(os.path.join(checkpoint, base.ADAPTER), deadline)
    except FileNotFoundError:
        return None
    except (Broken, Unknown, OSError):
        return None  # whether the checkpoint is whole is said by its verdict


def _plain(value: Any) -> str:
    return normal(",".join(map(str, value))) if isinstance(value, (list, tuple)) else str(value)
