"""Runs whose base model, configuration or code changes between two attempts: refused, listed or held; the way out."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints import manifest as manifests
from outlast.disk import files
from tests.contract import models
from tests.live.test_hang_runs import script
from tests.live.workspace import Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

# A LoRA on a small base model, by transformers and peft. In its first life it is killed after its first checkpoint.
LORA = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
torch.manual_seed(0)
resume = os.environ.get("OUTLAST_RESUME_FROM")
base = AutoModelForCausalLM.from_pretrained("base")
if resume:
    model, first = PeftModel.from_pretrained(base, resume, is_trainable=True), int(resume.rpartition("-")[2]) + 1
else:
    model, first = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")), 1
print("from", first, flush=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
rows = torch.arange(8).reshape(1, -1)
for step in range(first, 5):
    loss = model(input_ids=rows, labels=rows).loss
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    print(f"step {step}/4 loss {loss.item():.4f}", flush=True)
    model.save_pretrained(f"out/step-{step}")
    if step == 2 and os.environ["OUTLAST_ATTEMPT"] == "1":
        CHANGE
        os.kill(os.getpid(), signal.SIGKILL)
"""
SWAP = """
        from safetensors.torch import load_file, save_file
        tensors = load_file("base/model.safetensors")
        next(iter(tensors.values())).view(-1)[7] *= 1.001
        os.rename("base/model.safetensors", "as-it-was.safetensors")
        save_file(tensors, "base/model.safetensors", metadata={"format": "pt"})
"""
# A plain loop: it reads its configuration, and something is changed before its first life ends.
PLAIN = """
import json, os, signal, sys
config = json.load(open("config.json"))
resume = os.environ.get("OUTLAST_RESUME_FROM")
first = int(resume.rpartition("-")[2]) + 1 if resume else 1
print("from", first, config, flush=True)
for step in range(first, 5):
    print(f"step {step}/4 loss {1 / step:.4f}", flush=True)
    os.makedirs(f"out/step-{step}")
    open(f"out/step-{step}/state", "w").write(str(step))
    if step == 2 and os.environ["OUTLAST_ATTEMPT"] == "1":
        CHANGE
        os.kill(os.getpid(), signal.SIGKILL)
"""


def begin(outlast: Bench, body: str, change: str, *words: str, options: tuple[str, ...] = ()) -> Any:
    command = [*script(outlast, body.replace("        CHANGE\n", change.lstrip("\n"))), *words]
    return outlast.start("--checkpoints", "out", "--backoff", "0", *options, command=command)


def test_r16_a_base_model_swapped_between_two_attempts_is_refused_with_both_fingerprints(
    outlast: Bench,
) -> None:
    models.base(outlast.root / "base")
    run = begin(outlast, LORA, SWAP, options=("--lock", "base_model=base"))
    shown = outlast.ended(run, 200)
    assert (shown["outcome"], shown["cause"], len(shown["attempts"])) == ("failed", "lock_changed", 2)
    assert shown["attempts"][1]["verdict"] == "never-began"
    (was,) = (row["value"] for row in lock(outlast, "show", run.id)["keys"] if row["key"] == "base_model")
    found = lock(outlast, "diff", run.id)["differences"]
    assert [each["key"] for each in found] == ["base_model"]
    assert f"base_model: {was} -> {found[0]['present']}" in shown["why"]
    assert f"outlast lock accept {run.id}" in shown["why"]
    outlast.outlast("lock", "check", run.id, expect=4)
    outlast.outlast("retry", run.id)
    assert outlast.ended(run, 60)["cause"] == "lock_changed", "asking again is no reason to mix two models"
    os.rename(outlast.root / "as-it-was.safetensors", outlast.root / "base" / "model.safetensors")
    outlast.outlast("lock", "check", run.id)
    outlast.outlast("retry", run.id)
    shown = outlast.ended(run, 120)
    assert shown["outcome"] == "completed"
    assert "\nfrom 3\n" in outlast.output(run, shown["attempts"][-1]["n"])


def test_r16_a_person_who_knows_better_accepts_the_other_base_model_and_that_is_kept(outlast: Bench) -> None:
    models.base(outlast.root / "base")
    run = begin(outlast, LORA, SWAP, options=("--lock", "base_model=base"))
    outlast.ended(run, 200)
    assert "say why" in outlast.outlast("lock", "accept", run.id, expect=2).stderr
    outlast.outlast("lock", "accept", run.id, "--reason", "the download was mended")
    outlast.outlast("retry", run.id)
    assert outlast.ended(run, 120)["outcome"] == "completed"
    about = lock(outlast, "show", run.id)["lock"]
    assert (about["version"], about["why"]) == (2, "base_model: the download was mended")
    assert about["by"]
    first = files.read(run.lock(1))
    assert first is not None, "the first lock stays"


def test_r16_what_only_the_adapter_names_is_locked_with_the_first_save_while_it_trains_on(
    outlast: Bench,
) -> None:
    """Nothing in the command tells of a base model: the lock comes from adapter_config.json, before the swap."""
    models.base(outlast.root / "base")
    wait = """
        import time
        while not os.path.exists(os.environ["OUTLAST_RUN_DIR"] + "/lock.json"):
            time.sleep(0.05)
"""
    run = begin(outlast, LORA, wait.lstrip("\n") + SWAP.lstrip("\n"))
    shown = outlast.ended(run, 250)
    assert (shown["outcome"], shown["cause"]) == ("failed", "lock_changed")
    assert "base_model: " in shown["why"]
    rows = {row["key"]: row for row in lock(outlast, "show", run.id)["keys"]}
    assert rows["base_model"]["source"].endswith("/adapter_config.json")
    assert dict(rows["lora"]["fields"])["r"] == "2"
    made = [*manifests.at(run, 1), *manifests.at(run, 2)]
    assert any(each.base == rows["base_model"]["value"] and each.lock for each in made)


@pytest.mark.parametrize(
    ("after", "outcome", "told"),
    [
        ({"max_length": 4096, "lr": 1}, "failed", "max_length: 2048 -> 4096"),
        ({"max_length": 2048, "lr": 2}, "completed", "changed since the lock: arguments: "),
    ],
    ids=["what must match is refused", "what may change is listed"],
)
def test_r17_l49_a_configuration_that_was_edited_is_refused_or_listed(
    outlast: Bench, after: dict[str, int], outcome: str, told: str
) -> None:
    Path(outlast.root, "config.json").write_text(json.dumps({"max_length": 2048, "lr": 1}))
    change = f"        open('config.json', 'w').write({json.dumps(after)!r})\n"
    run = begin(outlast, PLAIN, change, "--config", "config.json")
    shown = outlast.ended(run)
    assert shown["outcome"] == outcome
    if outcome == "failed":
        assert told in shown["why"]
        assert not outlast.output(run, 2), "no instruction of the training ran"
    else:
        assert any(reason.startswith(told) for reason in outlast.started(run, 2)["resume_reasons"])


def test_p9_code_edited_between_attempts_holds_the_restart_until_a_retry_takes_it_over(
    outlast: Bench,
) -> None:
    Path(outlast.root, "config.json").write_text("{}")
    change = "        open(sys.argv[0], 'a').write('# edited' + chr(10))\n"
    run = begin(outlast, PLAIN, change)

    def waits() -> dict[str, Any] | None:
        shown = outlast.show(run)
        return shown if shown["waiting_for"] == "code-changed" else None

    shown = wait_for(waits, "the hold")
    assert shown["phase"] == "waiting"
    assert [attempt["verdict"] for attempt in shown["attempts"]] == ["failed", "never-began"]
    assert not shown["attempts"][1]["charged"]
    story = outlast.outlast("why", run.id).stdout
    assert f"`outlast retry {run.id}` goes on with it" in story
    assert "`retry` goes on with the changed code" in outlast.outlast("resume", run.id, expect=4).stderr
    outlast.outlast("retry", run.id, "--reason", "a typo was mended")
    shown = outlast.ended(run)
    assert shown["outcome"] == "completed"
    assert outlast.output(run, 3).startswith("from 3 ")
    assert lock(outlast, "show", run.id)["lock"]["version"] == 2


def test_p9_where_a_person_wants_only_a_warning_the_run_goes_on_by_itself(outlast: Bench) -> None:
    Path(outlast.root, "outlast.yaml").write_text("lock: {code: warn}\n")
    Path(outlast.root, "config.json").write_text("{}")
    run = begin(outlast, PLAIN, "        open(sys.argv[0], 'a').write('# edited' + chr(10))\n")
    assert outlast.ended(run)["outcome"] == "completed"
    reasons = outlast.started(run, 2)["resume_reasons"]
    assert any(reason.startswith("changed since the lock: code: ") for reason in reasons), reasons
    assert "changed since the lock: code: " in outlast.outlast("why", run.id).stdout


def test_what_the_training_tells_through_the_sdk_is_locked(outlast: Bench) -> None:
    models.base(outlast.root / "base")
    body = """
import os, signal, outlast
with outlast.training(total_steps=4) as run:
    run.lock(base_model="base", max_length=2048 if os.environ["OUTLAST_ATTEMPT"] == "1" else 4096)
    for step in range(1, 5):
        run.step()
        os.makedirs(f"out/step-{os.environ['OUTLAST_ATTEMPT']}{step}")
        open(f"out/step-{os.environ['OUTLAST_ATTEMPT']}{step}/state", "w").write("1")
        if step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""
    outlast.env["PYTHONPATH"] = os.pathsep.join(sys.path)
    run = outlast.start("--checkpoints", "out", "--backoff", "0", command=script(outlast, body))
    shown = outlast.ended(run, 120)
    assert shown["cause"] == "lock_changed"
    assert "max_length: 2048 -> 4096" in shown["why"]
    rows = {row["key"]: row for row in lock(outlast, "show", run.id)["keys"]}
    assert rows["max_length"]["source"] == "run.lock in attempt 1"
    assert rows["base_model"]["locked"]


def lock(outlast: Bench, *words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(outlast.outlast("lock", *words, "--json").stdout)
    return answer
