"""Checkpoints as the real libraries write them: each made once in a process, then copied, with another step in it.

Knows the libraries. Refuses to know what outlast thinks of what they wrote.
"""

import atexit
import functools
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

MADE_AT = 3
Make = Callable[..., Path]


def once(make: Make) -> Make:
    """And without the warnings that libraries give each other: they are errors in our tests."""

    @functools.cache
    @functools.wraps(make)
    def made(*args: Any) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(*args)

    return made


@functools.cache
def shelf() -> Path:
    path = Path(tempfile.mkdtemp(prefix="saved-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def hugging_face(root: Path, step: int, kind: str = "full") -> Path:
    """`kind`: full, model-only, sharded, adapter."""
    path = root / f"checkpoint-{step}"
    shutil.copytree(_trained(kind), path)
    state = path / "trainer_state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "global_step": step}))
    return path


@once
def _trained(kind: str) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    torch.set_num_threads(1)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
        )
    )
    if kind == "adapter":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(12)]
    out = shelf() / kind
    options = TrainingArguments(
        output_dir=str(out), max_steps=MADE_AT, save_steps=MADE_AT, per_device_train_batch_size=4, report_to=[],
        disable_tqdm=True, use_cpu=True, save_only_model=kind == "model-only",
    )  # fmt: skip
    Trainer(model=model, args=options, train_dataset=rows).train()
    made = out / f"checkpoint-{MADE_AT}"
    if kind == "sharded":
        (made / "model.safetensors").unlink()
        model.save_pretrained(made, max_shard_size="20KB")
    return made


def lightning(root: Path, step: int) -> Path:
    import torch

    root.mkdir(parents=True, exist_ok=True)
    path = root / f"epoch=0-step={step}.ckpt"
    torch.save({**torch.load(_fitted(), weights_only=False), "global_step": step}, path)
    return path


@once
def _fitted() -> Path:
    import lightning
    import torch
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

    class Small(lightning.LightningModule):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(64, 64)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.layer(batch[0]).pow(2).mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(12, 64)), 4)
    keep = ModelCheckpoint(shelf() / "lightning", every_n_train_steps=MADE_AT, save_top_k=-1)
    lightning.Trainer(
        max_steps=MADE_AT, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[keep, EarlyStopping("loss")],
    ).fit(Small(), rows)  # fmt: skip
    (made,) = (shelf() / "lightning").glob("*.ckpt")
    return made


def dcp(root: Path, step: int) -> Path:
    path = root / f"step-{step}"
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_distributed(), path)
    return path


@once
def _distributed() -> Path:
    import torch
    import torch.distributed.checkpoint as distributed

    model, path = torch.nn.Linear(64, 64), shelf() / "dcp"
    distributed.save({"model": model.state_dict(), "step": MADE_AT}, checkpoint_id=path, no_dist=True)
    return path


def torch_file(root: Path, step: int) -> Path:
    import torch

    root.mkdir(parents=True, exist_ok=True)
    path = root / f"step_{step}.pt"
    model = torch.nn.Linear(64, 64)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 64)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path)
    return path


def safetensors_file(root: Path, step: int) -> Path:
    import torch
    from safetensors.torch import save_file

    root.mkdir(parents=True, exist_ok=True)
    path = root / f"step-{step}.safetensors"
    save_file({"weight": torch.randn(64, 64), "bias": torch.randn(64)}, path)
    return path


def files_of(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def renamed(path: Path, step: int) -> Path:
    """The same checkpoint by a name that tells another step."""
    found = path.with_name(re.sub(r"\d+(?=\D*$)", str(step), path.name))
    os.rename(path, found)
    return found
