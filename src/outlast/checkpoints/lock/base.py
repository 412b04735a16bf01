"""A base model by its content: weights, tokenizer, architecture, as they lie in a folder of the Hugging Face layout.

Weights in safetensors: the header (names, shapes, types) and the numbers, which are two hashes, for a header alone does
not see a changed value. Weights of `torch.save`: the CRC-32 of every record, which stand in the zip's directory. A
sharded model is the files that its index names. A renamed or copied folder is the same model.

Knows the layout. Refuses to load anything, and to know which training uses it.
"""

import json
import os
import zipfile
from collections.abc import Callable
from typing import Any

from outlast.checkpoints.lock import hashes
from outlast.checkpoints.parts import safetensors
from outlast.checkpoints.parts.faults import Broken, Late, Unknown
from outlast.checkpoints.parts.reading import Deadline, opened
from outlast.facts import Known, NotLocked, Trait

JSON_MAX = 64 << 20
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
NO_WEIGHTS = (
    "training_args.bin",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
    "scheduler.bin",
    "scaler.pt",
)
TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "merges.txt", "added_tokens.json", "special_tokens_map.json", "tekken.json",
)  # fmt: skip
OF_THE_BATCH = ("padding", "truncation")  # of tokenizer.json
ADAPTER = "adapter_config.json"
# Of config.json: what says by whom, where and how it was saved, or how it is run, and nothing of what is trained.
NO_ARCHITECTURE = frozenset(
    "_name_or_path name_or_path transformers_version torch_dtype dtype use_cache _attn_implementation "
    "attn_implementation _attn_implementation_autoset _commit_hash quantization_config".split()
)
SAMPLE = 4096
TENSORS_SAMPLED = 4000


def weights(path: str, revision: str, source: str, deadline: Deadline) -> Trait:
    """The model that lies in a folder, or in one file."""
    return _quietly(lambda: _weights(path, revision, source, deadline), "its weights")


def tokenizer(folder: str, source: str, deadline: Deadline, kind: str = "files") -> Trait:
    """Which files there are is the library's: another version of it saves others, of the same tokenizer."""

    def read() -> Trait:
        root = folder if os.path.isdir(folder) else os.path.dirname(folder)
        names = [name for name in TOKENIZER if os.path.isfile(os.path.join(root, name))]
        if not names:
            return NotLocked(f"{root} holds no tokenizer")
        fields = tuple((name, _of_tokenizer(os.path.join(root, name), deadline)) for name in names)
        return Known(_digest(fields), kind, source, fields, partial=True, path=root)

    return _quietly(read, "the tokenizer")


def architecture(folder: str, source: str, deadline: Deadline, kind: str = "config") -> Trait:
    """Every field of config.json that says what the model is."""

    def read() -> Trait:
        path = os.path.join(folder, "config.json")
        if not os.path.isfile(path):
            return NotLocked(f"{folder} holds no config.json")
        told = read_json(path, deadline)
        fields = tuple(
            (name, _plain(value)) for name, value in sorted(told.items()) if name not in NO_ARCHITECTURE
        )
        return Known(_digest(fields), kind, source, fields, partial=True, path=path)

    return _quietly(read, "config.json")


def read_json(path: str, deadline: Deadline) -> dict[str, Any]:
    """Raises Broken (no JSON object), Unknown (too large for one), Late, OSError."""
    with opened(path, deadline) as file:
        if file.size > JSON_MAX:
            raise Unknown(f"{path} has {file.size} bytes: it is not read")
        body = file.at(0, file.size)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Broken(f"{path} is no JSON: {str(error)[:99]}") from error
    if not isinstance(told, dict):
        raise Broken(f"{path} is no JSON object")
    return told


def _of_tokenizer(path: str, deadline: Deadline) -> str:
    """Without what the last batch left in it: a tokenizer is saved with the padding that it did last."""
    if os.path.basename(path) != "tokenizer.json":
        return hashes.of_file(path, deadline)
    told = read_json(path, deadline)
    return hashes.of_text(json.dumps({name: told[name] for name in sorted(told) if name not in OF_THE_BATCH}))


def _weights(path: str, revision: str, source: str, deadline: Deadline) -> Trait:
    root, names = _files(path, deadline)
    if not names:
        return NotLocked(f"{path} holds no weights that are known here")
    gone = [name for name in names if not os.path.isfile(os.path.join(root, name))]
    if gone:
        return NotLocked(f"{path}: {gone[0]}, which its index names, is not there")
    paths = [os.path.join(root, name) for name in names]
    whole = sum(map(os.path.getsize, paths)) <= hashes.WHOLE_MAX
    fields: list[tuple[str, str]] = []
    for path_, name in zip(paths, names, strict=True):
        fields += _of_one(path_, name if len(names) > 1 else "", deadline, whole=whole)
    about = (("revision", revision),) if revision else ()
    return Known(_digest(tuple(fields)), "content", source, (*fields, *about), path=path)


def _files(path: str, deadline: Deadline) -> tuple[str, list[str]]:
    """(folder, names in it): those of the index where there is one, else all weights, safetensors before others."""
    if not os.path.isdir(path):
        return os.path.dirname(path), [os.path.basename(path)]
    there = sorted(os.listdir(path))
    for index in INDEXES:
        if index in there:
            shards = read_json(os.path.join(path, index), deadline).get("weight_map")
            if not isinstance(shards, dict):
                raise Broken(f"{index} names no shards")
            return path, sorted({os.path.basename(str(shard)) for shard in shards.values()})
    for suffix in SUFFIXES:
        names = [name for name in there if name.endswith(suffix) and _is_weights(name)]
        if names:
            return path, names
    return path, []


def _is_weights(name: str) -> bool:
    return name not in NO_WEIGHTS and not name.startswith(("rng_state", "."))


def _of_one(path: str, name: str, deadline: Deadline, *, whole: bool) -> list[tuple[str, str]]:
    """(what, hash) pairs. Raises Broken, Unknown, Late, OSError."""
    prefix = f"{name} " if name else ""
    if path.endswith(".safetensors"):
        with safetensors.opened(path, deadline) as found:
            header = hashes.of_text(_header(found))
            return [
                (f"{prefix}header", header),
                (f"{prefix}values", _values(found, path, deadline, whole=whole)),
            ]
    if zipfile.is_zipfile(path):
        crcs = _crcs(path)
        if any(crc for _, _, crc in crcs):
            return [(f"{prefix}records", hashes.of_text(*map(repr, crcs)))]
    return [(f"{prefix}bytes", hashes.of_file(path, deadline))]


def _header(found: safetensors.Safetensors) -> str:
    """Names, types, shapes and places; not what a library wrote about itself."""
    return json.dumps([(each.name, each.kind, each.shape, each.end - each.begin) for each in found.tensors])


def _values(found: safetensors.Safetensors, path: str, deadline: Deadline, *, whole: bool) -> str:
    """All of a small model. Of a large one evenly spaced samples, and begin, middle and end of every tensor."""
    if not found.tensors:
        return hashes.of_text()
    begin, end = found.tensors[0].begin, found.tensors[-1].end
    wanted = list(hashes.places(begin, end - begin, whole=whole))
    if len(wanted) > 1:
        wanted += [place for each in found.tensors[:TENSORS_SAMPLED] for place in _ends(each.begin, each.end)]
    with opened(path, deadline) as file:
        return hashes.of_pieces(file, wanted)


def _ends(begin: int, end: int) -> list[tuple[int, int]]:
    room = min(SAMPLE, end - begin)
    return [(at, room) for at in dict.fromkeys((begin, begin + (end - begin - room) // 2, end - room))]


def _crcs(path: str) -> list[tuple[str, int, int]]:
    """Of every record, by its name without the leading folder, which is called after the file."""
    try:
        with zipfile.ZipFile(path) as found:
            return [(each.filename.partition("/")[2], each.file_size, each.CRC) for each in found.infolist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise Broken(f"{path} is no whole zip: {str(error)[:99]}") from error


def _digest(fields: tuple[tuple[str, str], ...]) -> str:
    return hashes.of_text(*(word for pair in fields for word in pair))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _quietly(read: Callable[[], Trait], what: str) -> Trait:
    """What cannot be read is not locked, and says why."""
    try:
        return read()
    except (Broken, Unknown, Late) as error:
        return NotLocked(f"{what}: {error}")
    except OSError as error:
        return NotLocked(f"{what} cannot be read: {error.strerror or error}")
