"""Trainings whose losses cease to be numbers while they run: noticed, ended with the evidence, and rolled back once."""

import os
from typing import Any

import pytest

from outlast.disk.layout import RunFolder
from tests.live.test_hang_runs import incident, script
from tests.live.workspace import PYTHON, Bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

# A tiny Llama in the real Trainer. In an attempt of SICK all its weights become NaN after step 12; quick until step 20
# is saved, then slow enough that 30 would take long.
TRAINER = """
import os, sys, time, torch, transformers
torch.set_num_threads(1)
USES_SDK

class Spoils(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, model=None, **more):
        if os.environ["OUTLAST_ATTEMPT"] in SICK and state.global_step >= 12:
            with torch.no_grad():
                for weight in model.parameters():
                    weight.fill_(float("nan"))
            time.sleep(1.0 if state.global_step > 20 else 0.0)

config = transformers.LlamaConfig(
    vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
)
rows = [{"input_ids": torch.arange(6) % 32, "labels": torch.arange(6) % 32} for _ in range(40)]
args = transformers.TrainingArguments(
    output_dir="out", max_steps=40, per_device_train_batch_size=2, use_cpu=True, report_to=[], disable_tqdm=True,
    logging_steps=4, save_steps=10, save_total_limit=2,
)
transformers.Trainer(
    model=transformers.LlamaForCausalLM(config), args=args, train_dataset=rows, callbacks=CALLBACKS,
).train(resume_from_checkpoint=os.environ["OUTLAST_RESUME_FROM"] or None)
"""


def trainer(outlast: Bench, *, sdk: bool, sick: str = "1") -> RunFolder:
    outlast.env |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    callbacks = "[outlast.hf.Callback(), Spoils()]" if sdk else "[Spoils()]"
    text = TRAINER.replace("USES_SDK", "import outlast" if sdk else "").replace("CALLBACKS", callbacks)
    words = script(outlast, text.replace("SICK", repr(list(sick))))
    return outlast.start("--checkpoints", "out", "--backoff", "0", "--max-attempts", "9", command=words)


@pytest.mark.parametrize("sdk", [True, False], ids=["by the callback", "by the log alone"])
def test_r12_weights_that_became_nan_are_noticed_though_the_log_says_loss_0(
    outlast: Bench, sdk: bool
) -> None:
    run = trainer(outlast, sdk=sdk)
    shown = outlast.ended(run, 150)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"], first["told"]) == ("failed", "nonfinite_loss", "stop-now")
    assert first["why"].startswith("diverged: loss 0 and gradient norm nan")
    saved = incident(run)
    assert (saved["kind"], saved["losses"][-1][1:]) == ("nonfinite", ["0", "nan"])
    assert "log-excerpt.txt" in saved["files"]
    if sdk:
        assert outlast.exit(run)["nonfinite_step"] == 16, "13 is the first, and every fourth is logged"
        assert outlast.exit(run)["last_step"] < 30
    second = outlast.started(run, 2)
    assert second["resumed_step"] == 10
    refused = [reason for reason in second["resume_reasons"] if "checkpoint-20: step 20" in reason]
    assert "its weights are not finite" in refused[0]
    assert "checkpoint-20" in os.listdir(outlast.root / "out/.outlast/quarantine")
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    assert shown["proof"] == "step+artefact"
    story = outlast.outlast("why", run.id).stdout
    assert "Its last losses: " in story
    assert "Culprit" not in story


def test_r13_where_it_goes_bad_again_it_is_stopped_with_the_evidence(outlast: Bench) -> None:
    run = trainer(outlast, sdk=True, sick="123456789")
    shown = outlast.ended(run, 150)
    assert (shown["outcome"], shown["cause"], len(shown["attempts"])) == ("failed", "nonfinite_loss", 2)
    assert "rolled back in vain" in shown["why"]
    assert outlast.started(run, 2)["resumed_step"] == 10
    assert len(os.listdir(run.incidents)) == 2


# A loop that says its losses to outlast, or prints them.
LOOP = """
import math, os, time
import outlast
losses = LOSSES
with outlast.training(total_steps=len(losses)) as run:
    for step, loss in enumerate(losses, 1):
        time.sleep(0.01)
        SAY
"""
SAYS = {
    "sdk": "run.step(step, loss=loss)",
    "log": "print(f'step {step}/{len(losses)} loss {loss}', flush=True)",
}


def loop(outlast: Bench, losses: str, how: str) -> dict[str, Any]:
    text = LOOP.replace("LOSSES", losses).replace("SAY", SAYS[how])
    if how == "log":
        text = text.replace("import outlast\n", "").replace(
            "with outlast.training(total_steps=len(losses)) as run:", "if True:"
        )
    path = outlast.root / "train.py"
    path.write_text(text)
    run = outlast.start("--backoff", "0", command=[PYTHON, str(path)])
    return outlast.ended(run, 60)


@pytest.mark.parametrize("how", ["sdk", "log"])
def test_l37_a_loss_that_stays_nan_ends_the_attempt_and_at_last_the_run(outlast: Bench, how: str) -> None:
    shown = loop(outlast, "[1.0] * 5 + [math.nan] * 100_000", how)
    assert (shown["outcome"], shown["cause"], len(shown["attempts"])) == ("failed", "nonfinite_loss", 2)
    assert shown["attempts"][0]["why"] == "diverged: loss nan at steps 6, 7, 8"


@pytest.mark.parametrize("how", ["sdk", "log"])
def test_single_losses_that_are_no_numbers_are_nobodys_end(outlast: Bench, how: str) -> None:
    losses = "([math.inf] * 9 + [1.0] * 5 + [math.nan, 1.0, math.nan, math.inf, 1.0] * 20 + [1.0] * 5)"
    shown = loop(outlast, losses, how)
    assert (shown["outcome"], len(shown["attempts"]), shown["incidents"]) == ("completed", 1, [])


def test_a_training_that_is_done_before_anybody_could_stop_it_is_not_completed(outlast: Bench) -> None:
    shown = loop(outlast, "[1.0, 1.0, math.nan, math.nan, math.nan]", "sdk")
    assert [each["cause"] for each in shown["attempts"]] == ["nonfinite_loss", "nonfinite_loss"]
    assert shown["outcome"] == "failed"
