"""What a command says of its own training: known options, and known keys of the configuration files that it names.

Knows names. An option that is given twice with two values, or a key that two files tell differently, tells nothing.
Refuses to look at what a value names.
"""

import json
import os
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from outlast.checkpoints.lock import hashes
from outlast.checkpoints.parts.faults import Broken, Late
from outlast.checkpoints.parts.reading import Deadline, opened
from outlast.facts import Known, NotLocked, Pairs, Trait

CONFIG_SUFFIXES = (".yaml", ".yml", ".json", ".toml")
CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, CONFIGS_MAX = 256 << 10, 4, 16
# Names as they stand on command lines and in configurations, with "_" for "-".
NAMES: dict[str, tuple[str, ...]] = {
    "base_model": (
        "model_name_or_path", "base_model", "base_model_name_or_path", "pretrained_model_name_or_path",
        "base_model_path", "pretrained_model", "pretrained_model_path",
    ),
    "revision": ("model_revision", "base_model_revision"),
    "tokenizer": ("tokenizer_name_or_path", "tokenizer_name", "tokenizer_path", "tokenizer"),
    "max_length": (
        "max_length", "max_seq_length", "max_seq_len", "model_max_length", "sequence_len", "sequence_length",
        "seq_length", "cutoff_len", "block_size",
    ),
    "lora.r": ("lora_r", "lora_rank"),
    "lora.alpha": ("lora_alpha",),
    "lora.targets": ("lora_target_modules", "lora_targets", "lora_target"),
    "data": (
        "data", "data_path", "data_dir", "data_file", "dataset", "dataset_path", "dataset_dir", "train_file",
        "train_data", "train_path", "training_data",
    ),
    "dataset_revision": ("dataset_revision", "data_revision"),
    "seed": ("seed", "random_seed"),
}  # fmt: skip
_KEY_OF = {name: key for key, names in NAMES.items() for name in names}
PROCESSES, NODES = ("nproc_per_node", "num_processes"), ("nnodes",)


class Said(NamedTuple):
    value: str
    source: str


class Declared(NamedTuple):
    """`said`: by key of NAMES. `unclear`: keys that are told in two ways, with the words. `configs`: (name, hash) of
    the files that the command names."""

    said: Mapping[str, Said]
    unclear: Mapping[str, str]
    configs: Pairs


def read(argv: Sequence[str], cwd: str, deadline: Deadline, ignored: str = "") -> Declared:
    """Options come before what a file says: that is how the frameworks read them. `ignored`: a folder that the training
    writes itself."""
    options = [(name, Said(value, f"--{name}")) for name, value in options_of(argv)]
    files = [
        (path, body)
        for path in configs_of(argv, cwd)
        if not is_inside(path, ignored) and (body := _body(path, deadline)) is not None
    ]
    told = [
        (name, Said(value, os.path.basename(path)))
        for path, body in files
        for name, value in _leaves(path, body)
    ]
    said, unclear = _sorted_out(options)
    said_by_files, unclear_in_files = _sorted_out(told)
    configs = tuple(
        (os.path.relpath(path, cwd), hashes.of_text(body.decode("latin-1"))) for path, body in files
    )
    return Declared(
        {**said_by_files, **said},
        {key: why for key, why in {**unclear_in_files, **unclear}.items() if key not in said},
        configs,
    )


def is_inside(path: str, folder: str) -> bool:
    return bool(folder) and f"{path}/".startswith(f"{folder.rstrip('/')}/")


def options_of(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, value) of `--name value`, `--name=value` and `name=value`, names in lower case with "_" for "-"."""
    for place, word in enumerate(argv[1:], start=1):
        name, equals, value = word.partition("=")
        if not equals:
            following = argv[place + 1] if place + 1 < len(argv) else ""
            if not name.startswith("--") or not following or following.startswith("--"):
                continue
            value = following
        elif not name.startswith("--") and not name.replace(".", "_").replace("-", "_").isidentifier():
            continue
        yield name.lstrip("-").replace("-", "_").lower().rpartition(".")[2], value


def arguments(argv: Sequence[str], configs: Pairs) -> Known:
    """The command as it was given: no checkpoint is in it, that is appended at each start."""
    command = shlex.join(argv)
    return Known(hashes.of_text(command, *(word for pair in configs for word in pair)), "argv", "the command",
                 (("command", command), *configs))  # fmt: skip


def world_size(argv: Sequence[str], environment: Mapping[str, str]) -> Trait:
    told = dict(options_of(argv))
    each = next((told[name] for name in PROCESSES if name in told), "")
    nodes = next((told[name] for name in NODES if name in told), "1")
    if each:
        if each.isdigit() and nodes.isdigit():
            return Known(str(int(each) * int(nodes)), "count", "the launcher's options")
        return NotLocked(f"the launcher decides ({each} processes on {nodes} nodes)")
    for name in ("WORLD_SIZE", "SLURM_NTASKS"):
        if environment.get(name, "").isdigit():
            return Known(environment[name], "count", f"${name}")
    return NotLocked("no launcher says it")


def lora(declared: Declared) -> Trait:
    said = {
        name: declared.said[f"lora.{name}"]
        for name in ("r", "alpha", "targets")
        if f"lora.{name}" in declared.said
    }
    if not said:
        return NotLocked("no option or adapter_config.json tells it")
    fields = tuple((name, normal(each.value)) for name, each in said.items())
    return Known(", ".join(f"{name} {value}" for name, value in fields), "lora", next(iter(said.values())).source,
                 fields, partial=True)  # fmt: skip


def normal(text: str) -> str:
    """A list in one form: sorted, with commas."""
    words = text.strip().strip("[]").replace("'", "").replace('"', "").replace(",", " ").split()
    return ",".join(sorted(words)) if words else text


def configs_of(argv: Sequence[str], cwd: str) -> list[str]:
    """Without what is trained on."""
    return config_files(argv, cwd, {value for name, value in options_of(argv) if _KEY_OF.get(name) == "data"})


def config_files(argv: Sequence[str], cwd: str, data: Container[str] = ()) -> list[str]:
    """`data`: words that name what is trained on."""
    found: dict[str, None] = {}
    for word in argv[1:]:
        named = word.partition("=")[2] or word
        if named.endswith(CONFIG_SUFFIXES) and named not in data:
            path = os.path.normpath(os.path.join(cwd, os.path.expanduser(named)))
            if os.path.isfile(path):
                found[path] = None
    return list(found)[:CONFIGS_MAX]


def _sorted_out(told: Iterable[tuple[str, Said]]) -> tuple[dict[str, Said], dict[str, str]]:
    said: dict[str, Said] = {}
    unclear: dict[str, str] = {}
    for name, each in told:
        key = _KEY_OF.get(name)
        if key is None:
            continue
        if key in said and said[key].value != each.value:
            unclear[key] = f"{said[key].source} says {said[key].value}, {each.source} says {each.value}"
        said.setdefault(key, each)
    return {key: each for key, each in said.items() if key not in unclear}, unclear


def _body(path: str, deadline: Deadline) -> bytes | None:
    try:
        with opened(path, deadline) as file:
            return file.at(0, file.size) if file.size <= CONFIG_BYTES_MAX else None
    except (Broken, Late, OSError):
        return None  # the training will say so


def _leaves(path: str, body: bytes) -> list[tuple[str, str]]:
    return list(_walk(_parsed(path, body), 0))


def _parsed(path: str, body: bytes) -> Any:
    """What is no such file after all tells nothing: it is a file of the training's, in whatever language."""
    try:
        if path.endswith(".json"):
            return json.loads(body)
        if path.endswith(".toml"):
            return None  # its hash is among the arguments; Python reads it only since 3.11
        import yaml

        return yaml.safe_load(body)
    except (ValueError, RecursionError, MemoryError):
        return None
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            return None
        raise


def _walk(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict) or depth > CONFIG_DEPTH_MAX:
        return
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _walk(each, depth + 1)
        elif isinstance(each, (str, int, float)) or (
            isinstance(each, list) and all(isinstance(x, str) for x in each)
        ):
            text = ",".join(each) if isinstance(each, list) else str(each)
            yield str(name).replace("-", "_").lower(), text
