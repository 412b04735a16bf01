"""One of two ranks that train a little with DeepSpeed on a CPU and save: STAGE STEPS FOLDER RANK HEALTH (well, ill).

DeepSpeed lies in a folder of its own beside the environment's packages (scripts/setup.sh says why).
"""

import os
import sys

stage, steps, out, rank = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
os.environ |= {
    "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1",
}  # fmt: skip
sys.path.append(os.path.join(sys.prefix, "deepspeed"))

import deepspeed  # noqa: E402 - it reads the environment when it is imported
import torch  # noqa: E402 - after the environment, too

torch.distributed.init_process_group("gloo", init_method=f"file://{out}.store", rank=rank, world_size=2)
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 8))
engine, *_ = deepspeed.initialize(
    model=model,
    model_parameters=model.parameters(),
    config={
        "train_micro_batch_size_per_gpu": 2,
        "zero_optimization": {"stage": stage},
        "optimizer": {"type": "Adam", "params": {"torch_adam": True, "lr": 1e-3}},
    },
)
for _ in range(steps):
    engine.backward(engine(torch.randn(2, 64)).pow(2).sum())
    engine.step()
if sys.argv[5] == "ill":
    zero = engine.optimizer
    flat = zero.fp32_partitioned_groups_flat if stage == 3 else zero.single_partition_of_fp32_groups
    flat[0].data[5] = float("nan")
engine.save_checkpoint(out)
torch.distributed.destroy_process_group()
