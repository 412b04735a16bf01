"""Saves small trees with Orbax, once in each of its layouts: STEP FOLDER.

manager    the CheckpointManager with one item       items       the same with two items
prefix     the same with a prefix and fixed digits   bare        a Checkpointer: the step is the item itself
files      without OCDBT: Zarr 2                     files-3     without OCDBT: Zarr 3, in shards
next       the interface that is called v1           ill         a NaN among the weights, and one of the optimizer
"""

import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import orbax.checkpoint.experimental.v1 as next_ocp

step, out = int(sys.argv[1]), Path(sys.argv[2])
numbers = np.random.default_rng(0)


def tree(weight: float = 1.0) -> dict[str, Any]:
    """One array is too large for a node of the index, the others stand in it."""
    weights = jnp.asarray(numbers.normal(size=(256, 256)), jnp.float32).at[7, 7].mul(weight)
    return {
        "params": {
            "w": weights,
            "b": jnp.ones(64, jnp.bfloat16),
            "none": None,
            "layers": [jnp.ones(2), jnp.zeros(3)],
        },
        "opt_state": {"mu": np.full(8, np.nan)},
        "step": step,
    }


def managed(name: str, content: dict[str, Any], **options: Any) -> None:
    with ocp.CheckpointManager(out / name, options=ocp.CheckpointManagerOptions(**options)) as manager:
        manager.save(step, args=ocp.args.StandardSave(content))


managed("manager", tree())
managed("ill", tree(float("nan")))
managed("prefix", tree(), step_prefix="step", step_format_fixed_length=6)
with ocp.CheckpointManager(out / "items", item_names=("state", "notes", "never")) as manager:
    items = ocp.args.Composite(state=ocp.args.StandardSave(tree()), notes=ocp.args.JsonSave({"a": 1}))
    manager.save(step, args=items)
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(out / "bare" / str(step), tree())
ocp.PyTreeCheckpointer(use_ocdbt=False).save(out / "files" / str(step), tree())
ocp.PyTreeCheckpointer(use_ocdbt=False, use_zarr3=True).save(out / "files-3" / str(step), tree())
with next_ocp.training.Checkpointer(out / "next") as next_checkpointer:
    next_checkpointer.save_pytree(step, tree())
