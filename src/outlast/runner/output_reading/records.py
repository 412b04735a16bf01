"""Lines that report: `step 10/100 loss 0.5`, dicts of the Hugging Face Trainer, JSON, meters, boosting rounds.

Knows counters, epochs and values of one line. Refuses to know how they hang together over many.
"""

from __future__ import annotations

from outlast.runner.output_reading.names import (
    EVAL,
    NUMBER,
    TRAIN,
    UNNAMED,
    count,
    number,
    pattern,
    speaks_of_evaluation,
)
from outlast.runner.output_reading.seen import EPOCH, ROUND, SAMPLE, Seen
from outlast.runner.output_reading.values import read_values

GAP = rb"[ \t]{0,12}"  # where a pattern says ~
COUNTERS = (  # the first that a line holds is the one that counts optimizer steps, or comes nearest to it
    rb"global[ _]?steps?|num_updates|optimizer[ _]?steps?|trainer/global_step",
    rb"(?:train(?:ing)?[ _])?(?:steps?|iters?|iterations?)(?:\([a-z]{1,8}\))?|train/steps?",
    rb"updates?|(?:mini-?)?batch(?:es)?|rounds?|trees?",
)
AFTER_COUNTER = (
    rb"[\"']?~[:=#]?~[\"'(\[]?~(\d[\d,]{0,18})(?![\d,]*(?:\.\d|[a-z%]))(?:~(?:/|of)~(\d{1,15}))?"
).replace(b"~", GAP)
EPOCH_WORD = (
    rb"(?<![a-z/_])epochs?(?:\([a-z]{1,8}\))?[\"']?~[:=#]?~[\"'(\[]?~(\d{1,9}(?:\.\d{1,9})?)(?:~(?:/|of)~(\d{1,9}))?"
).replace(b"~", GAP)
OF_EPOCH = rb"[ \t\[\]|:,()-]{1,16}(\d{1,15})~/~(\d{1,15})(~\()?".replace(b"~", GAP)
TWO_BRACKETS = rb"^\[(\d{1,9})/(\d{1,9})\] ?\[~(\d{1,15})/(\d{1,15})\]".replace(b"~", GAP)
SAMPLES_BEHIND_LOSS = (
    rb"^~(?:train[ _])?loss~[:=]~" + NUMBER + rb"[ \t,|]{1,8}\[~(\d{1,15})/~(\d{1,15})\]~$"
).replace(b"~", GAP)
TESTED = rb"^ {0,4}Accuracy: [\d.]{1,8}%, Avg loss: " + NUMBER  # PyTorch's quickstart, below `Test Error:`
METER = rb"^(?:train|test|val\w*|eval\w*):? {1,4}(?:(\d{1,9}) {1,4})?\[ {0,12}(\d{1,15})/(\d{1,15})"
BRACKETED = rb"(?:^|[\s:])\[(\d{1,15})\]([ \t])"
CATBOOST = rb"^(\d{1,15}):\tlearn: (" + NUMBER + rb")"
BARE_EPOCH = rb"^\W{0,4}epoch \[?(\d{1,9})(?:/(\d{1,9}))?\]?\W{0,4}$"
TOTAL_STEPS = rb"total optimization steps\W{1,4}(\d[\d,]{0,18})"
ERRORS = frozenset("logloss rmse mae error mlogloss merror l1 l2 binary_logloss multi_logloss mape".split())
SAVING = (b"Saving model checkpoint", b"Saving checkpoint", b"saving checkpoint", b"Saving the checkpoint")


def read_record(line: bytes) -> Seen | None:
    """A line that reports values, a counter, or both."""
    boosted = _boosted(line) if b"\t" in line else None
    if boosted is not None:
        return boosted
    if _is_dict_of_trainer(line):
        return _read_dict_of_trainer(line)
    has_loss = b"loss" in line or b"Loss" in line or b"LOSS" in line
    seen = Seen("plain")
    _counter(line, seen)
    if has_loss:
        read_values(line, seen)
        _dialect(line, seen)
    elif seen.n is None and seen.epoch is None:
        return None
    if seen.role != TRAIN:
        _role(line, seen)
    return seen


def _role(line: bytes, seen: Seen) -> None:
    if seen.loss is not None:
        seen.role = TRAIN
    elif seen.val_loss is not None or speaks_of_evaluation(line):
        seen.role = EVAL


def _is_dict_of_trainer(line: bytes) -> bool:
    """`{'loss': '0.5', 'grad_norm': '1.2', 'epoch': '0.3'}`, which names no step."""
    text = line.strip()
    return text.startswith(b"{'") and text.endswith(b"}") and b"'epoch'" in text and b"step'" not in text


def _read_dict_of_trainer(line: bytes) -> Seen:
    seen = Seen("hf-trainer", "hf-trainer")
    read_values(line, seen)
    seen.epoch = seen.values.get("epoch")
    seen.is_summary = b"'train_runtime'" in line
    if seen.is_summary or b"'eval_" in line:
        seen.role = UNNAMED if seen.is_summary else EVAL
        seen.loss = None
    elif seen.loss is not None:
        seen.role = TRAIN
    return seen


def _dialect(line: bytes, seen: Seen) -> None:
    """Who speaks like this."""
    if line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}"):
        seen.source = "json" if b'"' in line else "python"
    elif b"tps: " in line and b"mfu: " in line:
        seen.source = "torchtitan"
    elif seen.n is not None and b": loss " in line and b", time " in line:
        seen.source = "nanogpt"
    elif b" Train loss/train" in line:
        seen.source = "composer"
    elif seen.loss is not None and pattern(TESTED).match(line):
        seen.val_loss, seen.loss = seen.loss, None
        seen.values.pop("Avg_loss", None)
        seen.values["val_loss"] = seen.val_loss


def _counter(line: bytes, seen: Seen) -> None:
    _epoch(line, seen)
    if seen.n is not None:
        return
    found = pattern(TWO_BRACKETS).match(line)
    if found is not None:
        seen.epoch, seen.total_epochs = float(found[1]), count(found[2])
        seen.n, seen.total, seen.key = count(found[3]), count(found[4]), "batches"
        seen.restarts, seen.origin = True, 0
        return
    found = pattern(METER).match(line)
    if found is not None:
        seen.n, seen.total, seen.key = (
            count(found[2]),
            count(found[3]),
            "meter " + line[:4].decode("ascii", "replace"),
        )
        if found[1] is not None:
            seen.epoch, seen.restarts = float(found[1]), True
        return
    _named_counter(line, seen)


def _named_counter(line: bytes, seen: Seen) -> None:
    for words in COUNTERS:
        found = pattern(rb"(?<![a-z/_])(" + words + rb")" + AFTER_COUNTER).search(line)
        if found is not None:
            seen.n, seen.total = count(found[2]), count(found[3])
            seen.key = "counter " + found[1].decode("ascii", "replace").lower().rstrip("s")
            if seen.total is not None and seen.n is not None and seen.n > seen.total:
                seen.total = None
            return
    if _samples_behind_loss(line, seen):
        return
    found = pattern(BRACKETED).search(line)
    if found is not None and b"=" in line:
        seen.n, seen.key = count(found[1]), "bracket"
    elif seen.epoch is not None and seen.epoch == int(seen.epoch):
        seen.n, seen.total, seen.unit, seen.key = int(seen.epoch), seen.total_epochs, EPOCH, "epochs"


def _samples_behind_loss(line: bytes, seen: Seen) -> bool:
    """PyTorch's quickstart: `loss: 2.303494  [   64/60000]`."""
    found = pattern(SAMPLES_BEHIND_LOSS).match(line)
    if found is None or seen.epoch is not None:
        return False
    n, total = count(found[1]), count(found[2])
    if n is None or total is None or n > total:
        return False
    seen.n, seen.total, seen.unit, seen.key, seen.restarts = n, total, SAMPLE, "samples", True
    return True


def _epoch(line: bytes, seen: Seen) -> None:
    """`epoch 1/3`, and the batch within it where it follows at once: `Epoch: [0][ 10/100]`, `epoch 1 | 20/ 200`."""
    found = pattern(EPOCH_WORD).search(line)
    if found is None:
        return
    seen.epoch, seen.total_epochs = number(found[1]), count(found[2])
    if seen.total_epochs is not None:
        seen.origin = 1
    inner = pattern(OF_EPOCH).match(line, found.end())
    if inner is None or seen.epoch is None:
        return
    n, total = count(inner[1]), count(inner[2])
    if n is None or total is None or n > total:
        return
    seen.n, seen.total, seen.key, seen.restarts = n, total, "batches", True
    if inner[3] is not None and found.start() > 0:
        seen.unit, seen.key = SAMPLE, "samples"


def _boosted(line: bytes) -> Seen | None:
    """XGBoost `[10]\\ttrain-logloss:0.4`, LightGBM `[10]\\ttraining's l2: 0.1`, CatBoost `10:\\tlearn: 0.5`."""
    found = pattern(CATBOOST).match(line)
    if found is not None:
        seen = _round("catboost", found[1])
        seen.loss = number(found[2])
        read_values(line[found.end(1) + 1 :].replace(b"test: ", b"test_loss: "), seen)
        return seen
    found = pattern(BRACKETED).match(line)
    if found is None or found[2] != b"\t":
        return None
    seen = _round("xgboost", found[1])
    for part in line[found.end() :].split(b"\t")[:16]:
        _metric(part, seen)
    return seen if seen.values else None


def _metric(part: bytes, seen: Seen) -> None:
    name, _, value = part.strip().rpartition(b":")
    found = number(value.strip().partition(b" ")[0])
    if found is None or not name:
        return
    if b"'s " in name:
        seen.source = "lightgbm"
    who, metric = _split_metric(name)
    seen.values[f"{who}_{metric}"[:64]] = found
    if metric.rpartition("@")[0] in ERRORS or metric in ERRORS:
        is_train = who.startswith(("train", "learn"))
        if is_train and seen.loss is None:
            seen.loss = found
        elif not is_train and seen.val_loss is None:
            seen.val_loss = found


def _split_metric(name: bytes) -> tuple[str, str]:
    for separator in (b"'s ", b"-"):
        who, found, metric = name.partition(separator)
        if found:
            return who.decode("ascii", "replace"), metric.decode("ascii", "replace")
    return "train", name.decode("ascii", "replace")


def _round(source: str, n: bytes) -> Seen:
    seen = Seen(source, source, count(n))
    seen.unit, seen.role, seen.restarts = ROUND, TRAIN, False
    return seen


def is_saving(line: bytes) -> bool:
    return any(word in line for word in SAVING)


def bare_epoch(line: bytes) -> tuple[int, int | None] | None:
    """`Epoch 1/3` on a line of its own: what follows until the next belongs to it."""
    found = pattern(BARE_EPOCH).match(line)
    return (int(found[1]), count(found[2])) if found is not None else None


def total_steps(line: bytes) -> int | None:
    """`Total optimization steps = 300`."""
    if b"optimization steps" not in line:
        return None
    found = pattern(TOTAL_STEPS).search(line)
    return count(found[1]) if found is not None else None
