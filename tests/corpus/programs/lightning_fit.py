"""Lightning's basic example: a module with a training and a validation step, its own progress bar; `--ckpt_path` as
LightningCLI has it."""

import argparse

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar, TQDMProgressBar

parser = argparse.ArgumentParser()
parser.add_argument("--output", required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=100)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--accumulate", type=int, default=1)
parser.add_argument("--no-validation", action="store_true")
parser.add_argument("--rich", action="store_true")
parser.add_argument("--refresh", type=int, default=1)
parser.add_argument("--save-every", type=int, default=0, help="steps")
parser.add_argument("--save-last", action="store_true", help="beside the newest: last.ckpt")
parser.add_argument("--ckpt_path", help="a path, or `last`")
options = parser.parse_args()
torch.set_num_threads(1)


class Net(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(32, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 4)
        )

    def training_step(self, batch, index):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(self.layers(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, index):
        x, y = batch
        self.log("val_loss", torch.nn.functional.cross_entropy(self.layers(x), y), prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def loader(batches: int):
    data = torch.utils.data.TensorDataset(torch.randn(batches * 32, 32), torch.randint(0, 4, (batches * 32,)))
    return torch.utils.data.DataLoader(data, 32)


lightning.seed_everything(0)
bar = (RichProgressBar if options.rich else TQDMProgressBar)(refresh_rate=options.refresh)
callbacks = [bar]
if options.save_every or options.save_last:
    every = options.save_every or None  # without it: at the end of each epoch
    callbacks.append(
        ModelCheckpoint(options.output, every_n_train_steps=every, save_last=options.save_last or None)
    )
trainer = lightning.Trainer(
    max_epochs=options.epochs,
    accelerator="cpu",
    callbacks=callbacks,
    default_root_dir=options.output,
    accumulate_grad_batches=options.accumulate,
    logger=False,
)
validation = None if options.no_validation else loader(20)
trainer.fit(Net(), loader(options.batches), validation, ckpt_path=options.ckpt_path)
