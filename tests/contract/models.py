"""Small base models and adapters as the real libraries write them: made once, then copied.

Refuses to know what outlast thinks of them.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any

from tests.contract.saved import once, shelf

WIDTH = 32


def base(path: Path, kind: str = "safetensors") -> Path:
    """`kind`: safetensors, sharded, torch (pytorch_model.bin). With a tokenizer."""
    shutil.copytree(_base(kind), path)
    return path


@once
def _base(kind: str) -> Path:
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    torch.manual_seed(1)
    path = shelf() / f"base-{kind}"
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
        )
    )
    model.save_pretrained(path, max_shard_size="20KB" if kind == "sharded" else "1GB")
    if kind == "torch":
        (path / "model.safetensors").unlink()
        torch.save(model.state_dict(), path / "pytorch_model.bin")
    words = {f"w{number}": number for number in range(64)}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), unk_token="w0"
    ).save_pretrained(path)
    return path


def change_one_weight(path: Path) -> None:
    """Of the model in a folder, by one part in a thousand; the header stays as it is."""
    import torch
    from safetensors.torch import load_file, save_file

    files = sorted(path.glob("*.safetensors"))
    if files:
        tensors = load_file(files[-1])
        _change(next(iter(tensors.values())))
        save_file(tensors, files[-1], metadata={"format": "pt"})
        return
    state = torch.load(path / "pytorch_model.bin")
    _change(next(iter(state.values())))
    torch.save(state, path / "pytorch_model.bin")


def _change(tensor: Any) -> None:
    tensor.view(-1)[7] *= 1.001


def adapter(path: Path, base_model: Path, rank: int = 4) -> Path:
    """What PEFT saves of a LoRA on that base model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those that the libraries give each other
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base_model),
            LoraConfig(r=rank, lora_alpha=8, target_modules=["v_proj", "q_proj"], task_type="CAUSAL_LM"),
        )
        model.save_pretrained(path)
    return path
