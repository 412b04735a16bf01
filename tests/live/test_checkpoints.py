"""Trainings whose newest checkpoint is damaged: they go on from the last one that is whole, and say so."""

import os
from pathlib import Path

import pytest

from tests.live.test_hang_runs import script
from tests.live.workspace import Bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

# A plain loop of PyTorch. In its first life something happens to the checkpoint of step 20, and it is killed.
LOOP = """
import os, signal, sys, torch
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
for step in range(first, 41):
    loss = (model(rows) - 3).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    print(f"step {step}/40 loss {loss.item():.4f}", flush=True)
    if step % 10 == 0:
        path = f"ckpt/step-{step}.pt"
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path)
        if step == 20 and os.environ["OUTLAST_ATTEMPT"] == "1":
            DAMAGE
            os.kill(os.getpid(), signal.SIGKILL)
"""
FLIP = """
            body = bytearray(open(path, "rb").read())
            at = body.find(model.weight.detach().numpy().tobytes()); assert at > 0
            body[at + 5] ^= 4
            open(path, "wb").write(body)
"""
CUT = """
            os.truncate(path, os.path.getsize(path) // 2)
"""
SICK = """
            bad = model.state_dict(); bad["weight"][0, 3] = float("nan")
            torch.save({"model": bad, "optimizer": optimizer.state_dict(), "step": step}, path)
"""


@pytest.mark.parametrize(
    ("damage", "why"),
    [(FLIP, "CRC-32 does not match"), (CUT, "it is no whole zip"), (SICK, "weights are not finite")],
    ids=["l50: a flipped bit", "r3: cut off", "r12: weights that are no numbers"],
)
def test_the_newest_is_damaged_and_the_last_whole_one_is_resumed_from(
    outlast: Bench, damage: str, why: str
) -> None:
    words = script(outlast, LOOP.replace("            DAMAGE\n", damage.lstrip("\n")))
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=words)
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    assert outlast.output(run, 2).startswith("from 11\n")
    second = outlast.started(run, 2)
    assert second["resumed_step"] == 10
    assert any(why in reason for reason in second["resume_reasons"]), second["resume_reasons"]
    moved = Path(outlast.root, "ckpt/.outlast/quarantine")
    assert os.listdir(moved) == ["step-20.pt"], "what is proven to be no good lies in no framework's way"
    listed = outlast.outlast("checkpoint", "verify", run.id).stdout
    assert listed.split()[9:13] == ["40", "whole", "L1", "yes"]


BUFFER = """
import os, signal, torch
torch.set_num_threads(1)
os.makedirs("ckpt", exist_ok=True)
model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 1))
model.register_buffer("best_score", torch.tensor(float("nan")))
first, resume = 1, os.environ.get("OUTLAST_RESUME_FROM")
if resume:
    state = torch.load(resume)
    model.load_state_dict(state["model"]); first = state["step"] + 1
print("from", first, flush=True)
for step in range(first, 31):
    print(f"step {step}/30 loss {1 / step:.4f}", flush=True)
    if step % 10 == 0:
        torch.save({"model": model.state_dict(), "step": step}, f"ckpt/step-{step}.pt")
    if step == 25 and os.environ["OUTLAST_ATTEMPT"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_buffer_that_is_nan_from_the_beginning_to_the_end_keeps_no_run_from_its_end(outlast: Bench) -> None:
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=script(outlast, BUFFER))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"]), shown["proof"]) == ("completed", 2, "artefact")
    assert outlast.output(run, 2).startswith("from 21\n")
    assert (
        "no number since the beginning: model.best_score"
        in outlast.outlast("checkpoint", "verify", run.id).stdout
    )
