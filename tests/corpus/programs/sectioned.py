"""A training that notes the time of each step and of each section that it enters and leaves, as the SDK would."""

import argparse
import json
import os
import random
import sys
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--output", required=True)
parser.add_argument("--steps", type=int, default=600)
parser.add_argument(
    "--epoch", type=int, default=100, help="steps of an epoch; the data is shuffled anew between two"
)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--eval-every", type=int, default=100)
parser.add_argument("--eval-batches", type=int, default=60)
parser.add_argument("--save-every", type=int, default=150)
parser.add_argument("--ballast", type=int, default=4, help="MB that are saved besides the model")
parser.add_argument("--lengths", default="fixed", choices=["fixed", "mixed", "growing"])
options = parser.parse_args()
torch.set_num_threads(1)
torch.manual_seed(0)
rng = random.Random(0)
begun = float(os.environ.get("BEGUN_S", time.monotonic()))


def beat(step: int, section: str) -> None:
    print(json.dumps([round(time.monotonic() - begun, 4), step, section]), file=sys.stderr)


beat(0, "init")
model = torch.nn.LSTM(64, options.width, batch_first=True)
head = torch.nn.Linear(options.width, 64)
parameters = [*model.parameters(), *head.parameters()]
optimizer = torch.optim.AdamW(parameters, 1e-3)
ballast = torch.zeros(options.ballast << 18)
data = torch.randn(2000, 64)


def length(step: int) -> int:
    if options.lengths == "growing":
        return 8 + step // 10
    if options.lengths == "mixed":
        return min(160, int(8 * rng.paretovariate(1.1)))
    return 16


def loss_of(step: int):
    x = data[torch.randint(0, 1800, (16,))][:, None, :].expand(-1, length(step), -1)
    return head(model(x)[0]).square().mean()


beat(0, "train")
for step in range(1, options.steps + 1):
    loss = loss_of(step)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    beat(step, "train")
    if step % options.epoch == 0:
        beat(step, "data")
        data = data[torch.randperm(len(data))].clone()
        sorted((float(row.sum()) for row in data), reverse=True)
        beat(step, "train")
    if options.eval_every and step % options.eval_every == 0:
        beat(step, "eval")
        with torch.no_grad():
            for _ in range(options.eval_batches):
                loss_of(step)
        beat(step, "train")
    if options.save_every and step % options.save_every == 0:
        beat(step, "save")
        path = f"{options.output}/step-{step}.pt"
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "ballast": ballast}, path
        )
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        beat(step, "train")
