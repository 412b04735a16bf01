"""torchtitan's loop: its coloured lines, torch.distributed.checkpoint into `checkpoint/step-N`, and its own search for
the latest of them."""

import argparse
import logging
import os
import re

import torch
import torch.distributed.checkpoint as dcp

parser = argparse.ArgumentParser()
parser.add_argument("--dump_folder", required=True)
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--interval", type=int, default=100, help="of checkpoints, in steps")
parser.add_argument("--width", type=int, default=1024)
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
logging.basicConfig(format="[titan] %(asctime)s - %(name)s - %(levelname)s - %(message)s", level=logging.INFO)
log = logging.getLogger("root")
model = torch.nn.Sequential(
    torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 64)
)
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
folder = os.path.join(options.dump_folder, "checkpoint")
steps = [int(found[1]) for name in (os.listdir(folder) if os.path.isdir(folder) else ())
         if (found := re.fullmatch(r"step-(\d+)", name)) and os.path.exists(f"{folder}/{name}/.metadata")]  # fmt: skip
step = 0
if steps:
    step = max(steps)
    log.info(f"Loading the checkpoint from {folder}/step-{step}.")
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()  # so that there is a state to load into
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    dcp.load(state, checkpoint_id=f"{folder}/step-{step}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
log.info(f"Training starts at step {step + 1}")
cyan, green, end = "\x1b[36m", "\x1b[32m", "\x1b[39m"
while step < options.steps:
    step += 1
    x = torch.randn(128, 64, generator=torch.Generator().manual_seed(step % 50))
    loss = (model(x) - x.roll(1, 1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 1 or step % 10 == 0:
        log.info(
            f"{cyan}step: {step:2}  {green}loss: {loss.item():8.5f}  \x1b[38;2;180;60;0mgrad_norm: {1.5:7.4f}  "
            f"\x1b[38;2;54;234;195mmemory:  0.42GiB(0.44%)  \x1b[34mtps: {81920:,}  \x1b[36mtflops: 1.23  "
            f"\x1b[35mmfu: 0.40%{end}"
        )
    if step % options.interval == 0 or step == options.steps:
        log.info("Saving the checkpoint (or staging if async is enabled).")
        saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        dcp.save(saved, checkpoint_id=f"{folder}/step-{step}", no_dist=True)
log.info("Training completed")
