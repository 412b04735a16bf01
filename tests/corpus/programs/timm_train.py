"""timm's train.py on numbers made here: its lines, `checkpoint-N.pth.tar` and `last.pth.tar`, its `--resume`."""

import argparse
import os
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--output", required=True)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--batches", type=int, default=120)
parser.add_argument("--width", type=int, default=1024)
parser.add_argument("--log-interval", type=int, default=10)
parser.add_argument("--resume", default="", metavar="PATH", help="Resume full model and optimizer state")
options = parser.parse_args()
torch.manual_seed(42)
torch.set_num_threads(1)
model = torch.nn.Sequential(
    torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 10)
)
optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
data = torch.randn(options.batches * 32, 64)
start_epoch = 0
if options.resume:
    checkpoint = torch.load(options.resume)
    model.load_state_dict(checkpoint["state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    start_epoch = checkpoint["epoch"] + 1
    print(f"Loaded checkpoint '{options.resume}' (epoch {checkpoint['epoch']})")
kept = []
for epoch in range(start_epoch, options.epochs):
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(epoch))
    total, count = 0.0, 0
    for index, rows in enumerate(order.split(32)):
        begun = time.time()
        x = data[rows]
        loss = torch.nn.functional.cross_entropy(model(x), x[:, :10].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + loss.item(), count + 1
        if index % options.log_interval == 0 or index == options.batches - 1:
            part = 100.0 * index / (options.batches - 1)
            spent = time.time() - begun
            print(
                f"Train: {epoch} [{index:>4d}/{options.batches} ({part:>3.0f}%)]  Loss: {loss.item():#.3g} "
                f"({total / count:#.3g})  Time: {spent:.3f}s, {32 / spent:>7.2f}/s  LR: {0.01:.3e}  Data: 0.001 (0.001)"
            )
    with torch.no_grad():
        right = (model(data[:640]).argmax(1) == data[:640, :10].argmax(1)).float().mean().item() * 100
    print(
        f"Test: [   0/9]  Time: 0.010 (0.010)  Loss: {loss.item():>7.3f} ({loss.item():>6.3f})  Acc@1: {right:>7.3f}"
    )
    name = f"{options.output}/checkpoint-{epoch}.pth.tar"
    saved = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(saved, f"{options.output}/tmp.pth.tar")
    os.replace(f"{options.output}/tmp.pth.tar", f"{options.output}/last.pth.tar")
    if os.path.exists(name):
        os.unlink(name)
    os.link(f"{options.output}/last.pth.tar", name)
