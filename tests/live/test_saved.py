"""What was verified is remembered and has a second copy: a bit that flips in a file without checksums, a framework that
rotates the last good one away, a save that overwrites its file in place, a person's `rm`, a folder of another run.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.live.test_hang_runs import script
from tests.live.workspace import Bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

# A plain loop of PyTorch with safetensors. It says what it saved, and may wait until that was verified.
LOOP = """
import os, shutil, signal, sys, time, torch, outlast
from pathlib import Path
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
torch.manual_seed(0)
N = int(os.environ["OUTLAST_ATTEMPT"])
model = torch.nn.Linear(64, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

def verified(step):
    while not Path(os.environ["OUTLAST_RUN_DIR"], "checkpoints", f"{step}.json").exists():
        time.sleep(0.02)

def pinned(step):
    while not list(Path("ckpt/.outlast/pins", str(step)).glob("*.json")):
        time.sleep(0.02)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

with outlast.training(total_steps=40) as run:
    first = 1
    if run.resume_from:
        LOAD
    print("from", first, flush=True)
    rows = torch.ones(8, 64)
    for step in range(first, 41):
        loss = (model(rows) - 3).pow(2).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        run.step(step=step, loss=loss)
        if step % 10 == 0:
            SAVE
            run.saved(path, step)
            if N == 1:
                AFTER
"""
LOAD = """
        model.load_state_dict(load_file(run.resume_from / "model.safetensors"))
        optimizer.load_state_dict(torch.load(run.resume_from / "optimizer.pt"))
        first = int(run.resume_from.name.rpartition("-")[2]) + 1
"""
SAVE = """
            path = Path("ckpt", f"step-{step}")
            path.mkdir(parents=True, exist_ok=True)
            save_file(model.state_dict(), path / "model.safetensors")
            torch.save(optimizer.state_dict(), path / "optimizer.pt")
"""
LOAD_ONE = """
        state = torch.load(run.resume_from)
        model.load_state_dict(state["model"]); optimizer.load_state_dict(state["optimizer"])
        first = state["step"] + 1
"""
SAVE_ONE = """
            path = Path("ckpt", "ckpt.pt")
            path.parent.mkdir(exist_ok=True)
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path)
"""


def loop(outlast: Bench, after: str, load: str = LOAD, save: str = SAVE) -> list[str]:
    text = LOOP.replace("                AFTER\n", after.lstrip("\n"))
    return script(
        outlast,
        text.replace("        LOAD\n", load.lstrip("\n")).replace("            SAVE\n", save.lstrip("\n")),
    )


def test_r3_a_flipped_bit_in_safetensors_is_found_by_the_manifest_and_the_one_before_is_resumed_from(
    outlast: Bench,
) -> None:
    flip = """
                if step == 20:
                    verified(20)
                    file = path / "model.safetensors"
                    body = bytearray(file.read_bytes()); body[-7] ^= 1
                    file.write_bytes(body)
                    die()
"""
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=loop(outlast, flip))
    shown = outlast.ended(run, 150)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    second = outlast.started(run, 2)
    assert second["resumed_step"] == 10
    assert any(
        "model.safetensors: other bytes than were verified" in each for each in second["resume_reasons"]
    )
    assert os.listdir(Path(outlast.root, "ckpt/.outlast/quarantine")) == ["step-20"]


def test_r8_a_rotation_that_leaves_only_a_half_written_one_does_not_take_the_last_good_one(
    outlast: Bench,
) -> None:
    rotate = """
                if step == 10:
                    pinned(10)
                else:
                    shutil.rmtree("ckpt/step-10")  # keep the last one only
                    os.truncate(path / "model.safetensors", 100)
                    die()
"""
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=loop(outlast, rotate))
    assert outlast.ended(run, 150)["outcome"] == "completed"
    second = outlast.started(run, 2)
    assert second["resumed_from"] == str(Path(outlast.root, "ckpt/step-10"))
    assert any("put back from its second copy" in each for each in second["resume_reasons"])
    assert outlast.output(run, 2).startswith("from 11\n")


def test_p6_a_second_save_to_the_same_file_that_is_cut_off_leaves_the_first(outlast: Bench) -> None:
    cut = """
                if step == 10:
                    pinned(10)
                else:
                    os.truncate(path, os.path.getsize(path) // 2)
                    die()
"""
    run = outlast.start(
        "--checkpoints", "ckpt", "--backoff", "0", command=loop(outlast, cut, LOAD_ONE, SAVE_ONE)
    )
    assert outlast.ended(run, 150)["outcome"] == "completed"
    second = outlast.started(run, 2)
    assert (second["resumed_step"], second["resumed_from"]) == (10, str(Path(outlast.root, "ckpt/ckpt.pt")))
    assert os.listdir(Path(outlast.root, "ckpt/.outlast/quarantine")) == ["ckpt.pt"]


def test_a_person_who_removes_all_checkpoints_has_not_removed_the_last_good_one(outlast: Bench) -> None:
    remove = """
                if step == 20:
                    pinned(20)
                    for old in Path("ckpt").glob("step-*"):
                        shutil.rmtree(old)
                    die()
"""
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=loop(outlast, remove))
    assert outlast.ended(run, 150)["outcome"] == "completed"
    assert outlast.started(run, 2)["resumed_step"] == 20


def test_r9_checkpoints_of_another_run_are_not_mixed_with_ones_own_unless_a_person_says_so(
    outlast: Bench,
) -> None:
    command = loop(outlast, "\n                pass\n")
    first = outlast.start("--checkpoints", "ckpt", "--name", "first", command=command)
    assert outlast.ended(first, 150)["outcome"] == "completed"
    second = outlast.start("--checkpoints", "ckpt", "--name", "second", command=command)
    shown = outlast.ended(second, 150)
    assert shown["outcome"] == "failed"
    assert f"made by run {first.id}" in shown["why"]
    assert "--take-over" in shown["why"]
    assert outlast.output(second, 1) == "", "it never trained"
    third = outlast.start("--checkpoints", "ckpt", "--name", "third", "--take-over", command=command)
    assert outlast.ended(third, 150)["attempts"][0]["resumed_from"] == str(Path(outlast.root, "ckpt/step-40"))


def test_retention_keeps_what_the_configuration_says_while_the_training_goes_on(outlast: Bench) -> None:
    Path(outlast.root, "outlast.yaml").write_text(
        "retention: {keep_last: 1, keep_every: 20, keep_verified: 1}\n"
    )
    command = loop(outlast, "\n                verified(step)\n")
    run = outlast.start("--checkpoints", "ckpt", command=command)
    assert outlast.ended(run, 150)["outcome"] == "completed"
    assert sorted(each.name for each in Path(outlast.root, "ckpt").glob("step-*")) == ["step-20", "step-40"]
    lines = Path(outlast.root, "ckpt/.outlast/removed.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 30]


def test_what_was_verified_is_shown_with_its_level_and_its_copy(outlast: Bench) -> None:
    run = outlast.start("--checkpoints", "ckpt", command=loop(outlast, "\n                pass\n"))
    outlast.ended(run, 150)
    rows = json.loads(outlast.outlast("show", run.id, "--json").stdout)["checkpoints"]
    assert [(row["step"], row["verdict"], row["level"], row["finite"]) for row in rows[:1]] == [
        (40, "whole", 1, True)
    ]
    assert rows[0]["pinned"] in ("linked", "cloned")
    assert "40" in outlast.outlast("show", run.id).stdout
    shutil.rmtree(Path(outlast.root, "ckpt/step-40"))
    answer = outlast.outlast("checkpoint", "next", run.id).stdout.strip()
    assert answer.endswith("ckpt/.outlast/pins/40/step-40")


IGNORES = """
import os, signal, time, torch
torch.set_num_threads(1)
os.makedirs("ckpt", exist_ok=True)
model = torch.nn.Linear(8, 1)
BEGIN
for step in range(1, 1000):
    loss = (model(torch.ones(4, 8)) - 3).pow(2).mean()
    SAID
    time.sleep(0.5 if os.environ["OUTLAST_ATTEMPT"] == "2" else 0.0)
    if step % 10 == 0:
        torch.save({"model": model.state_dict(), "step": step}, f"ckpt/step-{step}.pt")
    if step == 40 and os.environ["OUTLAST_ATTEMPT"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("begin", "said", "why"),
    [
        (
            "import outlast; run = outlast.training().__enter__()",
            "run.step(step=step, loss=loss)",
            "its first step was 1",
        ),
        ("", "print(f'step {step} loss {loss.item():.4f}', flush=True)", "it saved step 10"),
    ],
    ids=["it reports its steps", "its checkpoints show it"],
)
def test_p8_a_training_that_begins_anew_is_ended_and_the_run_stops_with_the_reason(
    outlast: Bench, begin: str, said: str, why: str
) -> None:
    command = script(outlast, IGNORES.replace("BEGIN", begin).replace("SAID", said))
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", command=command)
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], shown["cause"], len(shown["attempts"])) == ("failed", "resume_ignored", 2)
    assert f"{why}, and it was told to go on from step 40" in shown["why"]
    assert (Path(outlast.root) / "ckpt/step-40.pt").exists(), "nothing of it is gone"
    assert "OUTLAST_RESUME_FROM" in outlast.outlast("why", run.id).stdout


def test_p8_a_person_who_knows_better_is_obeyed(outlast: Bench) -> None:
    said = "run.step(step=step, loss=loss)\n    if step > 60: break"
    begin = "import outlast; run = outlast.training().__enter__()"
    command = script(outlast, IGNORES.replace("BEGIN", begin).replace("SAID", said))
    run = outlast.start("--checkpoints", "ckpt", "--backoff", "0", "--no-resume-check", command=command)
    assert outlast.ended(run, 120)["outcome"] == "completed"
