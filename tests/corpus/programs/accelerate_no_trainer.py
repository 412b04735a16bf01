"""`run_clm_no_trainer.py` of the transformers examples: Accelerate, one bar over all optimizer steps, no loss in it,
its `--checkpointing_steps` and `--resume_from_checkpoint`."""

import argparse
import os

import torch
from accelerate import Accelerator
from tqdm.auto import tqdm

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=80)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--output_dir", default="")
parser.add_argument("--checkpointing_steps", type=int, default=0)
parser.add_argument("--resume_from_checkpoint")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
model = torch.nn.Sequential(
    torch.nn.Linear(32, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 4)
)
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
data = torch.utils.data.TensorDataset(
    torch.randn(options.batches * 64, 32), torch.randint(0, 4, (options.batches * 64,))
)
loader = torch.utils.data.DataLoader(data, 64, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
progress_bar = tqdm(range(options.epochs * len(loader)), disable=not accelerator.is_local_main_process)
starting_epoch = completed_steps = skipped = 0
if options.resume_from_checkpoint:
    accelerator.print(f"Resumed from checkpoint: {options.resume_from_checkpoint}")
    accelerator.load_state(options.resume_from_checkpoint)
    completed_steps = int(os.path.basename(options.resume_from_checkpoint).replace("step_", ""))
    starting_epoch, skipped = divmod(completed_steps, len(loader))
    progress_bar.update(completed_steps)
for epoch in range(starting_epoch, options.epochs):
    model.train()
    resumes = options.resume_from_checkpoint and epoch == starting_epoch
    for x, y in accelerator.skip_first_batches(loader, skipped) if resumes else loader:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        progress_bar.update(1)
        completed_steps += 1
        if options.checkpointing_steps and completed_steps % options.checkpointing_steps == 0:
            accelerator.save_state(f"{options.output_dir}/step_{completed_steps}")
    model.eval()
    with torch.no_grad():
        losses = [torch.nn.functional.cross_entropy(model(x), y) for x, y in loader]
    accelerator.print(f"epoch {epoch}: perplexity: {torch.stack(losses).mean().exp():.4f}")
