"""train_text_to_image.py of diffusers on a tiny net: Accelerate, one bar `Steps`, `--resume_from_checkpoint latest`."""

import argparse
import os

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm.auto import tqdm

parser = argparse.ArgumentParser()
parser.add_argument("--output_dir", required=True)
parser.add_argument("--max_train_steps", type=int, default=400)
parser.add_argument("--checkpointing_steps", type=int, default=50)
parser.add_argument("--resume_from_checkpoint")
options = parser.parse_args()
torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
set_seed(0)
unet = torch.nn.Sequential(torch.nn.Linear(128, 512), torch.nn.SiLU(), torch.nn.Linear(512, 128))
optimizer = torch.optim.AdamW(unet.parameters(), 1e-3)
loader = torch.utils.data.DataLoader(torch.randn(6400, 128), 64, shuffle=True)
unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)
global_step = first_epoch = initial_global_step = 0
if options.resume_from_checkpoint:
    if options.resume_from_checkpoint != "latest":
        path = os.path.basename(options.resume_from_checkpoint)
    else:
        dirs = [d for d in os.listdir(options.output_dir) if d.startswith("checkpoint")]
        path = max(dirs, key=lambda d: int(d.split("-")[1]), default=None)
    if path is None:
        accelerator.print(
            f"Checkpoint '{options.resume_from_checkpoint}' does not exist. Starting a new training run."
        )
    else:
        accelerator.print(f"Resuming from checkpoint {path}")
        accelerator.load_state(os.path.join(options.output_dir, path))
        global_step = initial_global_step = int(path.split("-")[1])
        first_epoch = global_step // len(loader)
progress_bar = tqdm(range(options.max_train_steps), initial=initial_global_step, desc="Steps")
epoch = first_epoch
while global_step < options.max_train_steps:
    for clean in loader:
        noise = torch.randn_like(clean)
        loss = torch.nn.functional.mse_loss(unet(clean + noise), noise)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        progress_bar.update(1)
        global_step += 1
        if global_step % options.checkpointing_steps == 0:
            accelerator.save_state(os.path.join(options.output_dir, f"checkpoint-{global_step}"))
        progress_bar.set_postfix(step_loss=loss.detach().item(), lr=1e-3)
        if global_step >= options.max_train_steps:
            break
    epoch += 1
