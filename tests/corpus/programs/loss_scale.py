"""A healthy loop in half precision, as PyTorch's recipe for automatic mixed precision writes it: the loss scale begins
too high and is halved, its steps skipped, until gradients are finite; now and then a batch overflows; and the
evaluation of an empty part is NaN."""

import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--overflow-every", type=int, default=70)
options = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=40)
rows, targets = torch.randn(64, 16), torch.randn(64, 1)
for step in range(1, options.steps + 1):
    batch = rows * 1e6 if step % options.overflow_every == 0 else rows
    with torch.autocast("cpu", dtype=torch.float16):
        predicted = model(batch)
        loss = torch.nn.functional.mse_loss(predicted, targets.to(predicted.dtype))
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    print(
        f"step {step}/{options.steps} loss: {loss.item():.4f} grad_norm: {norm.item():.4g} "
        f"scale: {scaler.get_scale():.0f}",
        flush=True,
    )
    if step % 50 == 0:
        part = slice(None) if step == options.steps else slice(0, 0)
        held_out = torch.nn.functional.mse_loss(model(rows[part]), targets[part])
        print(f"eval step {step}: eval_loss {held_out.item():.4f}", flush=True)
assert all(weight.isfinite().all() for weight in model.parameters())
