"""nanoGPT's train.py: its loop, its printed lines and its `--init_from=resume`, with a tiny model."""

import argparse
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--output", required=True)
parser.add_argument("--max_iters", type=int, default=300)
parser.add_argument("--eval_interval", type=int, default=100)
parser.add_argument("--eval_iters", type=int, default=20)
parser.add_argument("--log_interval", type=int, default=10)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--batch_size", type=int, default=8)
parser.add_argument("--init_from", default="scratch", choices=["scratch", "resume"])
parser.add_argument("--always_save_checkpoint", action="store_true", help="if False, only a better one")
options = parser.parse_args()
torch.manual_seed(1337)
torch.set_num_threads(1)
model = torch.nn.Sequential(
    torch.nn.Embedding(65, options.width),
    torch.nn.Linear(options.width, options.width),
    torch.nn.GELU(),
    torch.nn.Linear(options.width, 65),
)
print("tokens per iteration will be: 2,048")
checkpoint = None
if options.init_from == "scratch":
    print("Initializing a new model from scratch")
else:
    print(f"Resuming training from {options.output}")
    checkpoint = torch.load(options.output + "/ckpt.pt")
    model.load_state_dict(checkpoint["model"])
print(f"number of parameters: {sum(p.numel() for p in model.parameters()) / 1e6:.2f}M")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
if checkpoint is not None:
    optimizer.load_state_dict(checkpoint["optimizer"])
print("num decayed parameter tensors: 3, with 12,416 parameters")
print("using fused AdamW: False")


def loss_of():
    x = torch.randint(0, 65, (options.batch_size, 256))
    return torch.nn.functional.cross_entropy(model(x).view(-1, 65), x.view(-1))


iter_num, t0, best = 0, time.time(), 1e9
if checkpoint is not None:
    iter_num, best = checkpoint["iter_num"], checkpoint["best_val_loss"]
while True:
    if iter_num % options.eval_interval == 0:
        with torch.no_grad():
            losses = [
                sum(loss_of().item() for _ in range(options.eval_iters)) / options.eval_iters for _ in "tv"
            ]
        print(f"step {iter_num}: train loss {losses[0]:.4f}, val loss {losses[1]:.4f}")
        if losses[1] < best or options.always_save_checkpoint:
            best = losses[1]
            if iter_num > 0:
                saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                print(f"saving checkpoint to {options.output}")
                torch.save(
                    {**saved, "iter_num": iter_num, "best_val_loss": best}, options.output + "/ckpt.pt"
                )
    loss = loss_of()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    t1 = time.time()
    dt, t0 = t1 - t0, t1
    if iter_num % options.log_interval == 0:
        mfu = -100 if iter_num < 5 else 1.25
        print(f"iter {iter_num}: loss {loss.item():.4f}, time {dt * 1000:.2f}ms, mfu {mfu:.2f}%")
    iter_num += 1
    if iter_num > options.max_iters:
        break
