"""PyTorch's examples/imagenet/main.py: its meters, its printed lines and its `--resume`, on numbers made here."""

import argparse
import os
import shutil
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=100)
parser.add_argument("--width", type=int, default=512)
parser.add_argument("--resume", default="", metavar="PATH", help="path to latest checkpoint")
options = parser.parse_args()
torch.set_num_threads(1)


class AverageMeter:
    def __init__(self, name: str, fmt: str = ":f") -> None:
        self.name, self.fmt = name, fmt
        self.val = self.sum = self.count = 0

    def update(self, val: float, n: int = 1) -> None:
        self.val, self.sum, self.count = val, self.sum + val * n, self.count + n

    def __str__(self) -> str:
        form = "{name} {val" + self.fmt + "} ({avg" + self.fmt + "})"
        return form.format(name=self.name, val=self.val, avg=self.sum / max(1, self.count))


def display(prefix: str, batches: int, meters: list, batch: int) -> None:
    digits = len(str(batches))
    print("\t".join([prefix + f"[{batch:{digits}d}/{batches}]", *map(str, meters)]))


def run(epoch: int, batches: int, train: bool) -> float:
    batch_time, data_time = AverageMeter("Time", ":6.3f"), AverageMeter("Data", ":6.3f")
    losses, top1, top5 = (
        AverageMeter("Loss", ":.4e"),
        AverageMeter("Acc@1", ":6.2f"),
        AverageMeter("Acc@5", ":6.2f"),
    )
    end = time.time()
    for i in range(batches):
        images, target = torch.randn(32, 64), torch.randint(0, 100, (32,))
        data_time.update(time.time() - end)
        output = model(images)
        loss = torch.nn.functional.cross_entropy(output, target)
        losses.update(loss.item(), 32)
        top1.update(100.0 * output.argmax(1).eq(target).float().mean().item(), 32)
        top5.update(0.0, 32)
        if train:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        batch_time.update(time.time() - end)
        end = time.time()
        if i % 10 == 0:
            meters = (
                [batch_time, data_time, losses, top1, top5] if train else [batch_time, losses, top1, top5]
            )
            display(f"Epoch: [{epoch}]" if train else "Test: ", batches, meters, i + 1)
    if not train:
        print(f" *   Acc@1 {top1.sum / top1.count:.3f} Acc@5 {top5.sum / top5.count:.3f}")
    return top1.sum / top1.count


torch.manual_seed(0)
print("=> creating model 'resnet18'")
model = torch.nn.Sequential(
    torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 100)
)
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
first, best = 0, 0.0
if options.resume:
    if os.path.isfile(options.resume):
        print(f"=> loading checkpoint '{options.resume}'")
        checkpoint = torch.load(options.resume)
        first, best = checkpoint["epoch"], checkpoint["best_acc1"]
        model.load_state_dict(checkpoint["state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        print(f"=> loaded checkpoint '{options.resume}' (epoch {first})")
    else:
        print(f"=> no checkpoint found at '{options.resume}'")
for number in range(first, options.epochs):
    run(number, options.batches, True)
    accuracy = run(number, 30, False)
    is_best, best = accuracy > best, max(accuracy, best)
    state = {"epoch": number + 1, "arch": "resnet18", "state_dict": model.state_dict()}
    torch.save({**state, "best_acc1": best, "optimizer": optimizer.state_dict()}, "checkpoint.pth.tar")
    if is_best:
        shutil.copyfile("checkpoint.pth.tar", "model_best.pth.tar")
