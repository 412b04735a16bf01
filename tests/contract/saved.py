"""Checkpoints as the real libraries write them: each made once in a process, then copied, with another step in it.

Knows the libraries. Refuses to know what outlast thinks of what they wrote.
"""

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

MADE_AT, SAVE_S = 3, 240.0
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


def accelerate(root: Path, step: int, kind: str = "safetensors") -> Path:
    """`kind`: safetensors, bin."""
    path = root / f"step_{step}"
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_accelerated(kind) / "named", path)
    return path


def accelerate_numbered(root: Path, number: int, kind: str = "safetensors") -> Path:
    """As `automatic_checkpoint_naming` has it: the number is that of the save. `kind` also: nothing-tells."""
    path = root / "checkpoints" / f"checkpoint_{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_accelerated(kind) / "checkpoints" / "checkpoint_0", path)
    return path


@once
def _accelerated(kind: str) -> Path:
    import torch
    from accelerate import Accelerator
    from accelerate.utils import ProjectConfiguration

    class Counted:
        def state_dict(self) -> dict[str, Any]:
            return {"epoch_of_data": 1}

        def load_state_dict(self, _: Any) -> None:
            raise NotImplementedError

    out = shelf() / f"accelerate-{kind}"
    naming = ProjectConfiguration(project_dir=str(out), automatic_checkpoint_naming=True)
    accelerator = Accelerator(cpu=True, project_config=naming)
    net = torch.nn.Linear(64, 64)
    kinds = torch.optim.SGD if kind == "nothing-tells" else torch.optim.Adam
    adam = kinds(net.parameters(), lr=1e-3)
    net, adam, scheduler = accelerator.prepare(net, adam, torch.optim.lr_scheduler.StepLR(adam, 1))
    accelerator.register_for_checkpointing(Counted())
    for _ in range(MADE_AT):
        accelerator.backward(net(torch.randn(2, 64)).pow(2).sum())
        adam.step()
        scheduler.step()
        adam.zero_grad()
    accelerator.save_state(safe_serialization=kind != "bin")
    accelerator.project_configuration.automatic_checkpoint_naming = False
    accelerator.save_state(str(out / "named"), safe_serialization=kind != "bin")
    return out


def deepspeed(root: Path, step: int, stage: int = 2, health: str = "well") -> Path:
    """Of two ranks, with `latest` beside it. `health`: ill, if one weight is to be NaN."""
    import torch

    path = root / f"global_step{step}"
    root.mkdir(parents=True, exist_ok=True)
    made = _partitioned(stage, health)
    shutil.copytree(made / f"global_step{MADE_AT}", path)
    for states in path.glob("*model_states.pt"):
        torch.save({**torch.load(states, weights_only=False), "global_steps": step}, states)
    (root / "latest").write_text(path.name)
    return path


def orbax(root: Path, step: int, kind: str = "manager") -> Path:
    """`kind`: one of `orbax_save.KINDS`."""
    path = root / (f"step_{step:06d}" if kind == "prefix" else str(step))
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_committed() / kind / (f"step_{MADE_AT:06d}" if kind == "prefix" else str(MADE_AT)), path)
    return path


@functools.cache
def _committed() -> Path:
    """By a process of its own: JAX starts threads, and a process with threads does not like to be forked."""
    out = shelf() / "orbax"
    script = Path(__file__).with_name("orbax_save.py")
    done = subprocess.run(
        [sys.executable, str(script), str(MADE_AT), str(out)], capture_output=True, text=True, timeout=SAVE_S
    )
    assert done.returncode == 0, done.stderr
    return out


@functools.cache
def _partitioned(stage: int, health: str) -> Path:
    """By processes of their own: the library changes the one that imports it."""
    out = Path(tempfile.mkdtemp(prefix=f"zero-{stage}-{health}-", dir=shelf()))
    script = Path(__file__).with_name("deepspeed_rank.py")
    words = [sys.executable, str(script), str(stage), str(MADE_AT), str(out)]
    ranks = [
        subprocess.Popen(
            [*words, str(rank), health], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in range(2)
    ]
    for rank in ranks:
        said, _ = rank.communicate(timeout=SAVE_S)
        assert rank.returncode == 0, said
    return out


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
