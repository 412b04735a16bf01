"""What `completed` rests on: trainings that leave with 0, and what they leave behind is whole, torn or no numbers."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import identity
from tests.live.test_hang_runs import script
from tests.live.workspace import Bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

# A plain loop of PyTorch that leaves with 0. In its first life something happens to its last checkpoint.
LOOP = """
import os, sys, torch
torch.set_num_threads(1)
torch.manual_seed(0)
os.makedirs("ckpt", exist_ok=True)
model = torch.nn.Linear(64, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
first, resume = 1, os.environ.get("OUTLAST_RESUME_FROM")
if resume:
    state = torch.load(resume)
    model.load_state_dict(state["model"]); optimizer.load_state_dict(state["optimizer"]); first = state["step"] + 1
print("from", first, flush=True)
rows = torch.ones(8, 64)
for step in range(first, 31):
    loss = (model(rows) - 3).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    if step % 10 == 0:
        path = f"ckpt/step-{step}.pt"
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path)
if os.environ["OUTLAST_ATTEMPT"] in "ATTEMPTS":
    DAMAGE
"""
NOTHING = "pass"
CUT = "os.truncate(path, os.path.getsize(path) // 2)"
TAKE_OVER = ("--take-over",)  # the checkpoints are those of another run
SICK = (
    "bad = model.state_dict(); bad['weight'][0, 3] = float('nan');"
    " torch.save({'model': bad, 'optimizer': {}, 'step': 30}, path)"
)


def run(outlast: Bench, damage: str, *options: str, attempts: str = "1") -> tuple[Any, dict[str, Any]]:
    words = script(outlast, LOOP.replace("ATTEMPTS", attempts).replace("DAMAGE", damage))
    made = outlast.start("--checkpoints", "ckpt", "--backoff", "0", *options, command=words)
    return made, outlast.ended(made, 120)


@pytest.mark.parametrize(
    ("options", "proof"),
    [((), "artefact"), (("--target-step", "30", "--require-proof", "step+artefact"), "step+artefact")],
)
def test_what_it_leaves_behind_is_read_and_is_the_proof(
    outlast: Bench, options: tuple[str, ...], proof: str
) -> None:
    made, shown = run(outlast, NOTHING, *options)
    assert (shown["outcome"], shown["proof"], len(shown["attempts"])) == ("completed", proof, 1)
    assert shown["why"].endswith("step-30.pt is whole (L1) and finite")
    assert outlast.exit(made)["final"]["path"].endswith("/ckpt/step-30.pt")


def test_the_last_checkpoint_is_torn_and_the_run_goes_on_from_the_one_before(outlast: Bench) -> None:
    made, shown = run(outlast, CUT)
    assert (shown["outcome"], shown["proof"], len(shown["attempts"])) == ("completed", "artefact", 2)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"]) == ("early_exit", "torn_checkpoint")
    assert "step-30.pt is torn: it is no whole zip" in first["why"]
    assert outlast.output(made, 2) == "from 21\n"


def test_the_last_checkpoint_is_torn_every_time_and_that_has_an_end(outlast: Bench) -> None:
    _, shown = run(outlast, CUT, attempts="123456789")
    assert (shown["outcome"], shown["proof"], shown["cause"]) == ("failed", None, "crash_loop")
    assert len(shown["attempts"]) <= 4


def test_l37_a_training_that_left_with_0_and_whose_weights_are_no_numbers_is_not_completed(
    outlast: Bench,
) -> None:
    made, shown = run(outlast, SICK)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"]) == ("failed", "nonfinite_loss")
    assert first["why"].startswith("diverged: step-30.pt is not finite")
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    assert outlast.started(made, 2)["resumed_step"] == 20, "rolled back to the last finite one"


def test_r13_what_is_no_number_again_in_the_same_stretch_ends_the_run_with_its_evidence(
    outlast: Bench,
) -> None:
    made, shown = run(outlast, SICK, "--max-attempts", "9", attempts="123456789")
    assert (shown["outcome"], shown["cause"], len(shown["attempts"])) == ("failed", "nonfinite_loss", 2)
    assert shown["why"].startswith("diverged again near step 30, as in attempt 1: rolled back in vain")
    story = outlast.outlast("why", made.id).stdout
    assert "diverged: step-30.pt is not finite (not finite: model.weight)" in story


def test_without_checkpoints_nobody_looks_and_nothing_is_different(outlast: Bench) -> None:
    words = script(outlast, LOOP.replace("ATTEMPTS", "1").replace("DAMAGE", CUT))
    made = outlast.start(command=words)
    shown = outlast.ended(made)
    assert (shown["outcome"], shown["proof"], shown["why"]) == ("completed", "exit", "exit 0")
    assert outlast.exit(made)["final"] is None
    assert "newest checkpoint" not in Path(made.attempt(1).runner_log).read_text()


def test_a_proof_that_was_asked_for_and_cannot_be_had_is_no_completion(outlast: Bench) -> None:
    words = script(outlast, "import os; os.makedirs('ckpt', exist_ok=True)\n")
    options = ("--checkpoints", "ckpt", "--require-proof", "artefact", "--max-attempts", "1")
    shown = outlast.ended(outlast.start(*options, command=words))
    assert shown["outcome"] == "failed"
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"]) == ("early_exit", "no_proof")
    assert "there is no checkpoint in" in first["why"]
    assert not os.listdir(outlast.root / "ckpt")
    refused = outlast.outlast("run", "--require-proof", "artefact", "--", "true", expect=2)
    assert "needs --checkpoints" in refused.stderr


# R14: `enable_jit_checkpoint` saves at SIGTERM and ends the training; then the script saves a "final" model, and leaves
# with 0.
JUST_IN_TIME = """
import os, sys, time, torch, transformers
torch.set_num_threads(1)
USES_SDK

class Says(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.global_step == 5:
            print("five steps are made", flush=True)
        if os.environ["OUTLAST_ATTEMPT"] == "1":
            time.sleep(0.05)

config = transformers.LlamaConfig(
    vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
)
rows = [{"input_ids": torch.arange(6) % 32, "labels": torch.arange(6) % 32} for _ in range(40)]
args = transformers.TrainingArguments(
    output_dir="out", max_steps=600, per_device_train_batch_size=2, use_cpu=True, report_to=[], disable_tqdm=True,
    logging_steps=100, save_steps=600, enable_jit_checkpoint=True,
)
trainer = transformers.Trainer(
    model=transformers.LlamaForCausalLM(config), args=args, train_dataset=rows, callbacks=CALLBACKS,
)
trainer.train(resume_from_checkpoint=os.environ["OUTLAST_RESUME_FROM"] or None)
trainer.save_model()
print("saved as if it were final", flush=True)
"""


@pytest.mark.parametrize("sdk", [True, False], ids=["with the callback", "with no code of ours"])
def test_r14_a_signal_that_the_trainer_obeys_with_exit_0_is_an_interruption_and_the_run_goes_on(
    outlast: Bench, sdk: bool
) -> None:
    outlast.env |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    callbacks = "[outlast.hf.Callback(), Says()]" if sdk else "[Says()]"
    text = JUST_IN_TIME.replace("USES_SDK", "import outlast" if sdk else "").replace("CALLBACKS", callbacks)
    made = outlast.start("--checkpoints", "out", "--backoff", "0", command=script(outlast, text))
    outlast.says(made, "five steps are made")
    identity.send(outlast.started(made)["child"], signal.SIGTERM)
    shown = outlast.ended(made, 150)
    first, second = shown["attempts"]
    assert (first["verdict"], first["cause"]) == ("interrupted", "stopped_itself")
    assert first["exit"] == {"kind": "exited", "code": 0, "signal": None}
    assert "saved as if it were final" in outlast.output(made, 1)
    final = outlast.exit(made)["final"]
    assert (final["total"], final["cut"], final["step"]) == (
        600,
        True,
        outlast.started(made, 2)["resumed_step"],
    )
    assert 5 <= final["step"] < 600
    assert (shown["outcome"], shown["proof"], second["verdict"]) == ("completed", "step+artefact", "finished")
    assert outlast.exit(made, 2)["final"]["step"] == 600


def test_l38_a_run_that_is_past_its_last_step_already_does_nothing_and_says_so(outlast: Bench) -> None:
    """By no code of ours, nor a word in its log: its own checkpoint says how far it was to go."""
    outlast.env |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    text = JUST_IN_TIME.replace("USES_SDK", "").replace("CALLBACKS", "[]")
    text = text.replace("max_steps=600", "max_steps=20").replace("save_steps=600", "save_steps=10")
    words = script(outlast, text)
    first = outlast.ended(outlast.start("--checkpoints", "out", command=words), 90)
    assert (first["outcome"], first["proof"]) == ("completed", "step+artefact")
    made = outlast.start("--checkpoints", "out", *TAKE_OVER, command=words)
    shown = outlast.ended(made, 90)
    assert outlast.started(made)["resumed_step"] == 20
    assert (shown["outcome"], shown["attempts"][0]["verdict"]) == ("no-op", "no-op")
    assert "nothing was trained: resumed at step 20, the target is 20" in shown["why"]
    outlast.outlast("wait", made.id, expect=1)
