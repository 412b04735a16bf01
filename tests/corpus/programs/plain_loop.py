"""Loops as people write them: one shape of output per `--style`, around the same tiny PyTorch training."""

import argparse
import json
import logging
import os
import sys
import time

import torch
from tqdm import tqdm, trange

parser = argparse.ArgumentParser()
parser.add_argument("--style", required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--steps", type=int, default=100, help="of an epoch")
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--work", type=int, default=1, help="passes through the model for one step")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(
    torch.nn.Linear(32, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 4)
)
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
epochs, steps = options.epochs, options.steps
total = epochs * steps


def train_step() -> float:
    for _ in range(options.work):
        x, y = torch.randn(64, 32), torch.randint(0, 4, (64,))
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def validate(batches: int = 20) -> float:
    with torch.no_grad():
        return sum(float(model(torch.randn(64, 32)).square().mean()) for _ in range(batches)) / batches


def tqdm_postfix() -> None:
    bar = trange(total, desc="Training")
    for _ in bar:
        bar.set_postfix(loss=train_step(), lr=1e-3)


def tqdm_no_total() -> None:
    def stream():
        yield from range(total)

    bar = tqdm(stream())
    for _ in bar:
        bar.set_description(f"loss {train_step():.4f}")


def tqdm_epochs() -> None:
    for epoch in range(epochs):
        with tqdm(range(steps), desc=f"Epoch {epoch + 1}/{epochs}", unit="batch") as bar:
            for _ in bar:
                bar.set_postfix(loss=f"{train_step():.4f}")
        for _ in tqdm(range(25), desc="Validation"):
            val_loss = validate(4)
        print(f"Epoch {epoch + 1}: val_loss={val_loss:.4f}")


def tqdm_nameless_epochs() -> None:
    for epoch in range(epochs):
        losses = [train_step() for _ in tqdm(range(steps))]
        for _ in tqdm(range(25), desc="eval"):
            val_loss = validate(4)
        print(f"Epoch {epoch + 1}, train loss {sum(losses) / steps:.4f}, val loss {val_loss:.4f}")


def tqdm_nested() -> None:
    for _ in tqdm(range(epochs), desc="epochs"):
        for _ in tqdm(range(steps), desc="batches", leave=False):
            train_step()


def preparing_then_training() -> None:
    for name, count, unit in (("Generating train split", 2000, " examples"), ("Map", 1000, " examples"),
                              ("Filter", 1000, " examples"), ("Loading checkpoint shards", 4, "it")):  # fmt: skip
        for _ in tqdm(range(count), desc=name, unit=unit):
            time.sleep(0.5 / count)
    bar = trange(total)
    for step in bar:
        loss = train_step()
        if (step + 1) % 20 == 0:
            tqdm.write(f"step {step + 1}/{total} loss {loss:.4f}")
        if (step + 1) % 50 == 0:
            for _ in tqdm(range(10), desc="Evaluating", leave=False):
                validate()


def step_lines() -> None:
    for step in range(1, total + 1):
        loss = train_step()
        if step % 10 == 0:
            print(f"step {step}/{total} loss {loss:.4f}")


def key_value() -> None:
    for step in range(1, total + 1):
        loss = train_step()
        if step % 10 == 0:
            print(
                f"epoch={step / steps:.2f} step={step} loss={loss:.5f} lr=1.00e-03 grad_norm=1.25 tokens/s=81920"
            )


def json_lines() -> None:
    for step in range(1, total + 1):
        record = {"step": step, "train": {"loss": train_step()}, "lr": 1e-3, "time": time.time()}
        if step % 10 == 0:
            print(json.dumps(record))


def logger_lines() -> None:
    logging.basicConfig(format="%(asctime)s - %(levelname)s - %(name)s -   %(message)s", level=logging.INFO)
    log = logging.getLogger("__main__")
    log.info("***** Running training *****")
    log.info("  Num examples = %d", total * 64)
    log.info("  Num Epochs = %d", epochs)
    log.info("  Total optimization steps = %d", total)
    for step in range(1, total + 1):
        loss = train_step()
        if step % 10 == 0:
            log.info("Epoch [%d/%d], Step [%d/%d], Loss: %.4f", (step - 1) // steps + 1, epochs,
                     (step - 1) % steps + 1, steps, loss)  # fmt: skip


def torchtitan() -> None:
    cyan, green, end = "\x1b[31m", "\x1b[32m", "\x1b[39m"
    orange, turquoise = "\x1b[38;2;180;60;0m", "\x1b[38;2;54;234;195m"
    logging.basicConfig(
        format="[titan] %(asctime)s - %(name)s - %(levelname)s - %(message)s", level=logging.INFO
    )
    log = logging.getLogger("root")
    log.info("Starting job: Llama 3 debug training")
    log.info("Training starts at step 1")
    for step in range(1, total + 1):
        loss = train_step()
        if step == 1 or step % 10 == 0:
            log.info(
                f"{cyan}step: {step:2}  {green}loss: {loss:8.5f}  {orange}grad_norm: {1.5:7.4f}  {turquoise}memory: "
                f"{0.42:5.2f}GiB(0.44%)  \x1b[34mtps: {81920:,}  \x1b[36mtflops: {1.23:,.2f}  \x1b[35mmfu: 0.40%{end}"
            )
        if step % 100 == 0:
            log.info("Saving the checkpoint (or staging if async is enabled).")
            log.info(f"{cyan}validate step: {step:2}  {green}loss: {validate():7.4f}  {end}")


def composer_bar() -> None:
    for epoch in range(epochs):
        form = f"{'train':15}Epoch {epoch:3}:  {{l_bar}}{{bar:25}}{{r_bar}}{{bar:-1b}}"
        bar = tqdm(total=steps, position=1, bar_format=form, ncols=120, postfix={}, unit="ba", leave=True)
        for _ in range(steps):
            bar.set_postfix({"loss/train/total": f"{train_step():.4f}"})
            bar.update(1)
        bar.refresh()
        print(file=sys.stderr, flush=True)
        bar.close()
        form = f"{'eval':15}Epoch {epoch:3}:  {{l_bar}}{{bar:25}}{{r_bar}}{{bar:-1b}}"
        bar = tqdm(total=20, position=1, bar_format=form, ncols=120, postfix={}, unit="ba", leave=True)
        for _ in range(20):
            validate(2)
            bar.update(1)
        bar.set_postfix({"metrics/eval/Accuracy": "0.2500"})
        bar.close()


def composer_console() -> None:
    for epoch in range(epochs):
        for batch in range(1, steps + 1):
            loss = train_step()
            if batch % 10 == 0:
                print(f"[epoch={epoch + 1}][batch={batch}/{steps}]:\n\t Train time/epoch: {epoch}\n\t "
                      f"Train time/batch: {epoch * steps + batch - 1}\n\t Train loss/train/total: {loss:.4f}",
                      file=sys.stderr, flush=True)  # fmt: skip
        for batch in (5, 10, 15):
            validate(10)
            print(f"[Eval batch={batch}/20] Eval on eval data", file=sys.stderr, flush=True)
        print(f"[Eval batch=20/20] Eval on eval data:\n\t Eval metrics/eval/CrossEntropy: {validate():.4f}",
              file=sys.stderr, flush=True)  # fmt: skip


def ranks() -> None:
    """Two ranks under torchrun, each printing its own lines."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    ddp = torch.nn.parallel.DistributedDataParallel(model)
    for step in range(1, total + 1):
        x, y = torch.randn(64, 32), torch.randint(0, 4, (64,))
        loss = torch.nn.functional.cross_entropy(ddp(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(
                f"[rank{rank}] Epoch {(step - 1) // steps} | Step {step} | Loss {loss.item():.4f}", flush=True
            )
    torch.distributed.destroy_process_group()


def saving() -> None:
    """Steps with a validation and a save now and then."""
    os.makedirs(os.environ["OUTPUT"], exist_ok=True)
    ballast = torch.zeros(1 << 22)
    for step in range(1, total + 1):
        loss = train_step()
        if step % 5 == 0:
            print(f"step: {step} loss: {loss:.4f}")
        if step % 40 == 0:
            print(f"eval at step {step}: val_loss: {validate(400):.4f}")
        if step % 60 == 0:
            torch.save({"model": model.state_dict(), "x": ballast}, f"{os.environ['OUTPUT']}/step-{step}.pt")
            print(f"saved checkpoint at step {step}")


def growing() -> None:
    """Each step costs a little more than the one before, as with a curriculum of sequence lengths."""
    for step in range(1, total + 1):
        options.work = 1 + step // 20
        print(f"step {step}/{total} loss {train_step():.4f}")


globals()[options.style]()
