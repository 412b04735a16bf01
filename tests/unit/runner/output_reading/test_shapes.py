"""Lines of the public tools and scripts, one by one: what each says."""

import math
from typing import Any

import pytest

from outlast.runner.output_reading.names import ACTIVITY, EVAL, TRAIN, role_of_bar
from outlast.runner.output_reading.seen import Seen
from outlast.runner.output_reading.shapes import understand

BLOCK = "█████     "


def said(line: str) -> Seen:
    found = understand(line.encode())
    assert found, f"nothing is understood of {line!r}"
    return found[-1]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (f" 45%|{BLOCK}| 45/100 [00:01<00:09, 10.0it/s]", {"n": 45, "total": 100, "source": "tqdm"}),
        (f" 45%|{BLOCK}| 45/100 [1:00:01<?, ?it/s]", {"n": 45, "total": 100}),
        (f"train:  45%|{BLOCK}| 45/100 [00:01<00:09, 2.5s/it, loss=0.5]", {"n": 45, "loss": 0.5, "role": TRAIN}),
        (f"Epoch 3/9:  45%|{BLOCK}| 45/100 [00:01<00:09, 9.9batch/s, loss=0.5, acc=0.9]",
         {"n": 45, "epoch": 3, "total_epochs": 9, "restarts": True, "loss": 0.5}),
        (f"Epoch 3:  45%|{BLOCK}| 45/100 [00:00<00:00, 99.1it/s, v_num=0, train_loss=0.5, val_loss=0.6]",
         {"n": 45, "epoch": 3, "source": "lightning", "loss": 0.5, "val_loss": 0.6}),
        ("Training: 1.20k/10.0k [00:01<00:09, 10.0it/s]", {"n": 1200, "total": 10000}),
        ("10it [00:01, 9.80it/s, loss=0.5]", {"n": 10, "total": None, "loss": 0.5}),
        ("loss 0.5123: 250batch [00:25, 9.8batch/s]", {"n": 250, "total": None, "loss": 0.5123}),
        (f"  1/3      2.3G      1.21      3.4      8       640: 100%|{BLOCK}| 10/10 [00:01<00:00,  7.1it/s]",
         {"n": 10, "total": 10, "epoch": 1, "total_epochs": 3}),
        ("Epoch [1/3]: [45/100]  45%|####      , loss=0.5 [00:00<00:00]",
         {"n": 45, "epoch": 1, "total_epochs": 3, "loss": 0.5, "source": "ignite"}),
        ("  12/100 ━━━━━━━━━━━━━━━━━━━━ 5s 4ms/step - accuracy: 0.5 - loss: 0.25",
         {"n": 12, "total": 100, "loss": 0.25, "source": "keras"}),
        (" 12/100 [==>...........................] - ETA: 5s - loss: 0.25 - accuracy: 0.1",
         {"n": 12, "total": 100, "loss": 0.25, "source": "keras"}),
        ("     12/Unknown 5s 4ms/step - loss: 0.25", {"n": 12, "total": None, "loss": 0.25}),
        ("Epoch 3/9 ━━━━━━━━━━╸━━━━ 45/100 0:00:01 • 0:00:02 45.30it/s v_num: 0.000 train_loss: 0.5",
         {"n": 45, "epoch": 3, "origin": 0, "total_epochs": 10, "loss": 0.5, "source": "lightning"}),
    ],
)  # fmt: skip
def test_a_bar_is_understood(line: str, wanted: dict[str, Any]) -> None:
    seen = said(line)
    assert seen.is_bar
    assert {name: getattr(seen, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("step 10/100 loss 0.5", {"n": 10, "total": 100, "loss": 0.5}),
        ("Step: 10, Loss: 5.0e-01, lr 1e-4", {"n": 10, "loss": 0.5}),
        ("global_step=1200 epoch=3 loss=0.5", {"n": 1200, "epoch": 3, "loss": 0.5}),
        ("Epoch [1/5], Step [100/600], Loss: 0.5123", {"n": 100, "total": 600, "epoch": 1, "total_epochs": 5}),
        ("iter 100: loss 2.3000, time 5.12ms, mfu 3.20%", {"n": 100, "loss": 2.3, "source": "nanogpt"}),
        ("step 100: train loss 2.3, val loss 2.4", {"n": 100, "loss": 2.3, "val_loss": 2.4}),
        ("val loss 2.4, train loss 2.3 at step 100", {"n": 100, "loss": 2.3, "val_loss": 2.4}),
        ('{"step": 10, "train": {"loss": 0.5}, "lr": 1e-3}', {"n": 10, "loss": 0.5, "source": "json"}),
        ('{"step": 10, "loss": NaN}', {"n": 10}),
        ("{'loss': 0.5, 'learning_rate': 1e-05, 'epoch': 0.31}", {"loss": 0.5, "epoch": 0.31, "source": "hf-trainer"}),
        ("{'loss': '0.5', 'grad_norm': '1.2', 'learning_rate': '1e-05', 'epoch': '0.31'}",
         {"loss": 0.5, "epoch": 0.31, "source": "hf-trainer", "role": TRAIN, "n": None}),
        ("{'eval_loss': '0.6', 'eval_runtime': '1.2', 'epoch': '1'}", {"loss": None, "val_loss": 0.6, "role": EVAL}),
        ("{'train_runtime': 12.5, 'train_loss': 0.4, 'epoch': 3.0}", {"loss": None, "is_summary": True}),
        ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 0.5", {"n": 640, "epoch": 1, "unit": "sample", "loss": 0.5}),
        ("Epoch: [2][ 10/100]\tTime  0.1 ( 0.2)\tLoss 6.9e+00 (7.0e+00)\tAcc@1", {"n": 10, "epoch": 2, "loss": 6.9}),
        ("Epoch: [2]  [ 10/100]  eta: 0:00:10  lr: 0.1  loss: 2.3 (2.4)  time", {"n": 10, "epoch": 2, "loss": 2.3}),
        ("Train: 3 [  50/100 ( 50%)]  Loss: 6.9 (6.8)  Time: 0.1s", {"n": 50, "epoch": 3, "loss": 6.9}),
        ("| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch  5.0 | loss  6.90 | ppl  991.2",
         {"n": 200, "total": 2983, "epoch": 1, "loss": 6.9}),
        ("[3/25][50/1583] Loss_D: 0.5 Loss_G: 2.3 D(x): 0.9", {"n": 50, "total": 1583, "epoch": 3, "loss": 0.5}),
        ("2024-10-25 10:00:00,000 - root - INFO - step: 10  loss:  3.2000  grad_norm: 1.5  tps: 1,000  mfu: 3.2%",
         {"n": 10, "loss": 3.2, "source": "torchtitan"}),
        (" iteration       10/     100 | consumed samples:  80 | elapsed time per iteration (ms): 5.1 | "
         "learning rate: 1.0E-04 | lm loss: 1.05E+01 | loss scale: 1.0 |", {"n": 10, "total": 100, "loss": 10.5}),
        ("[d2.utils.events]:  eta: 0:01:00  iter: 19  total_loss: 9.6  loss_cls: 3.2  lr: 0.001",
         {"n": 19, "loss": 9.6}),
        ("10/25 10:00:00 - mmengine - INFO - Epoch(train) [1][ 10/100]  lr: 1.0e-02  eta: 0:00:10  loss: 0.5",
         {"n": 10, "total": 100, "epoch": 1, "loss": 0.5}),
        ("10/25 10:00:00 - mmengine - INFO - Iter(train) [  10/1000]  loss: 0.5", {"n": 10, "total": 1000}),
        ("epoch 001:     10 / 100 loss=13.1, ppl=8775, wps=0, num_updates=10", {"n": 10, "total": 100, "loss": 13.1}),
        ("[2024-10-25 10:00:00] [INFO] [logging.py:96] step=10, skipped=0, lr=[0.001]", {"n": 10, "loss": None}),
        ("I1025 10:00:00.000000 1234 train.py:140] [100] accuracy=0.9, loss=0.5", {"n": 100, "loss": 0.5}),
        ("INFO:train:[100] learning_rate=0.001, loss=0.5", {"n": 100, "loss": 0.5}),
        ("mini-batch 100/600: loss 0.5", {"n": 100, "total": 600, "loss": 0.5}),
        ("I1025 10:00:00.000000 1234 train.py:80] epoch:  1, train_loss: 0.5, test_loss: 0.6",
         {"n": 1, "unit": "epoch", "loss": 0.5, "val_loss": 0.6}),
        ("step 12 loss_scale: 1024.0 loss_fn=3 lr=0.1", {"n": 12, "loss": None}),
        ("Iteration 12, loss = 0.5", {"n": 12, "loss": 0.5}),
        ("[10]\ttrain-logloss:0.40000\teval-logloss:0.50000", {"n": 10, "loss": 0.4, "val_loss": 0.5, "unit": "round"}),
        ("[10]\tvalidation_0-rmse:0.5", {"n": 10, "loss": None, "val_loss": 0.5}),
        ("[10]\ttraining's binary_logloss: 0.4\tvalid_1's binary_logloss: 0.5",
         {"n": 10, "loss": 0.4, "val_loss": 0.5, "source": "lightgbm"}),
        ("10:\tlearn: 0.4\ttest: 0.5\tbest: 0.5 (10)\ttotal: 5ms\tremaining: 1s",
         {"n": 10, "loss": 0.4, "val_loss": 0.5, "source": "catboost"}),
        ("step 1,200 of 20000 loss tensor(0.5000, grad_fn=<X>)", {"n": 1200, "total": 20000}),
    ],
)  # fmt: skip
def test_a_line_is_understood(line: str, wanted: dict[str, Any]) -> None:
    seen = said(line)
    assert {name: getattr(seen, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "line",
    [
        "Test: [ 10/100]\tTime  0.1 ( 0.2)\tLoss 6.9e+00 (7.0e+00)",
        "Test set: Average loss: 0.0495, Accuracy: 9837/10000 (98%)",
        "Validation loss: 0.5",
        "val_loss: 0.5",
        "eval at step 40: loss 0.5",
        "validate step: 10  loss:  3.2",
        "| end of epoch   1 | time:  5.0s | valid loss  5.4 | valid ppl   221",
        "Validation Results - Epoch: 1 Avg accuracy: 0.9 Avg loss: 0.4",
        "Epoch(val) [1][10/10]    acc: 0.9  loss: 0.5",
        "[Eval batch=5/20] Eval on eval data",
        f"Evaluating:  45%|{BLOCK}| 45/100 [00:01<00:09, 10.0it/s, loss=0.5]",
        f"Validation DataLoader 0:  45%|{BLOCK}| 45/100 [00:01<00:09, 10.0it/s]",
        f"eval           Epoch   0:    45%|{BLOCK}| 9/20 [00:00<00:00, 99.1ba/s]",
    ],
)
def test_an_evaluation_is_no_training(line: str) -> None:
    seen = said(line)
    assert (seen.role, seen.loss if not seen.is_bar else None) == (EVAL, None)


@pytest.mark.parametrize(
    "name",
    [
        "Map", "Map (num_proc=4)", "Filter", "Generating train split", "Downloading data", "Loading checkpoint shards",
        "Loading weights", "Fetching 5 files", "Writing model shards", "Running tokenizer on train dataset",
        "Tokenizing train dataset", "Saving the dataset (1/1 shards)", "Grouping texts in chunks of 1024",
        "model-00001-of-00004.safetensors downloading", "train: Scanning images",
    ],
)  # fmt: skip
def test_a_bar_that_prepares_something_is_activity(name: str) -> None:
    assert role_of_bar(name.encode()) == ACTIVITY


@pytest.mark.parametrize("name", ["Training", "train epoch 3", "Fine-tuning", "Train (rank 0)"])
def test_a_bar_named_after_training_is_training(name: str) -> None:
    assert role_of_bar(name.encode()) == TRAIN


@pytest.mark.parametrize(
    "line",
    [
        "loss scale: 1024.0",
        "using loss function: 3",
        "time per step: 0.5s",
        "timestep 5",
        "GET /static/step/1 HTTP/1.1",
        "ETA 5/step",
        "lossless compression: 5 files",
        "https://example.org/it/status",
    ],
)
def test_words_that_only_look_like_progress_carry_no_loss_and_no_counter(line: str) -> None:
    for seen in understand(line.encode()):
        assert seen.loss is None
        assert seen.n is None


def test_a_bar_and_what_was_printed_behind_it_are_two_things() -> None:
    found = understand(f" 45%|{BLOCK}| 45/100 [00:01<00:09, 10.0it/s]step 45 loss 0.5".encode())
    assert [(seen.is_bar, seen.n, seen.loss) for seen in found] == [(True, 45, None), (False, 45, 0.5)]


def test_colours_and_cursor_movements_change_nothing() -> None:
    seen = said("\x1b[32mstep: 10\x1b[0m \x1b[38;2;1;2;3mloss:\x1b[39m 0.5\x1b[K")
    assert (seen.n, seen.loss) == (10, 0.5)
    nested = said(f"\x1b[2K 45%|{BLOCK}| 45/100 [00:01<00:09, 10.0it/s]\x1b[A")
    assert (nested.n, nested.is_nested) == (45, True)


def test_a_loss_that_is_no_number_or_infinite_is_a_value() -> None:
    for word in ("nan", "NaN", "-nan", "inf", "-inf", "Infinity"):
        loss = said(f"step 5 loss: {word}").loss
        assert loss is not None
        assert not math.isfinite(loss)


def test_of_several_losses_the_one_of_the_training_counts() -> None:
    assert said("step 1 loss_cls: 0.1 loss_box: 0.2 loss: 0.9 loss_mask: 0.3").loss == 0.9
    assert said("step 1 loss_cls: 0.1 total_loss: 0.9").loss == 0.9
    assert said("step 1 train_loss: 0.9 aux_loss: 0.1").loss == 0.9
