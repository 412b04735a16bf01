"""The SDK beside the real torch: a CPU tensor is read at once, without its graph; others are left alone."""

import gc
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch as real_torch

import outlast
from outlast.disk import heartbeat
from outlast.sdk import own_page

torch: Any = real_torch  # mypy does not read it: its types take longer than all of ours


SOURCE = str(Path(outlast.__file__).parents[1])


class Activation:
    """What a graph keeps for its backward pass."""


class Keeps(torch.autograd.Function):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
    """An operation whose graph holds an activation as long as it lives."""

    @staticmethod
    def forward(context: Any, value: Any, activation: Activation) -> Any:
        context.activation = activation
        return value.clone()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTLAST_RUN_ID", "r")
    monkeypatch.setenv("OUTLAST_HEARTBEAT", str(tmp_path))
    monkeypatch.setattr(own_page, "_own", None)
    return tmp_path


@pytest.mark.parametrize("before", [0, 1])
def test_a_loss_of_torch_is_seen_at_once_and_its_graph_is_not_kept(folder: Path, before: int) -> None:
    run = outlast.training()
    for _ in range(before):  # the first step takes another way through us than those that follow
        run.step(loss=1.0)
    activation = Activation()
    kept = weakref.ref(activation)
    loss = Keeps.apply(torch.tensor(6.0, requires_grad=True), activation)
    del activation
    assert kept() is not None
    run.step(loss=loss)
    del loss
    gc.collect()
    assert kept() is None
    run.step(loss=torch.ones(4))
    run.step(loss=torch.ones((), device="meta"))
    (path,) = folder.iterdir()
    beat = heartbeat.Page(str(path)).read()
    assert beat is not None
    assert (beat.step, beat.loss) == (before + 3, 6.0)


def test_a_loss_that_the_training_changes_in_place_is_the_one_that_it_said(folder: Path) -> None:
    run, total = outlast.training(), torch.zeros(())
    for _ in range(3):
        total += 1.0
        run.step(loss=total, norm=total)
    total += 10.0
    (path,) = folder.iterdir()
    assert heartbeat.Page(str(path)).take()[0] == [
        *((step, "loss", float(step)) for step in (1, 2, 3)),
        *((step, "norm", float(step)) for step in (1, 2, 3)),
    ]


SPAWNS = """
import os, sys
import torch, outlast

def rank(number, folder):
    run = outlast.training(total_steps=2) if number else None    # a page from before the ranks know each other
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2
    )
    run = run or outlast.training(total_steps=2)
    with run:
        for _ in run.track(range(2)): pass
    torch.distributed.barrier()

if __name__ == "__main__":
    torch.multiprocessing.spawn(rank, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.live
def test_ranks_of_torch_multiprocessing_are_those_that_they_are_to_each_other(tmp_path: Path) -> None:
    """No variable says a rank here."""
    script, beats = tmp_path / "train.py", tmp_path / "beats"
    script.write_text(SPAWNS)
    beats.mkdir()
    clean = {name: value for name, value in os.environ.items() if "RANK" not in name and "SLURM" not in name}
    env = {**clean, "PYTHONPATH": SOURCE, "OUTLAST_RUN_ID": "r", "OUTLAST_HEARTBEAT": str(beats)}
    env |= {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(script), str(tmp_path)], env=env, check=True, timeout=50)
    seen = [heartbeat.Page(str(path)).read() for path in beats.iterdir()]
    found = sorted((beat.rank, beat.world, beat.step, beat.word) for beat in seen if beat is not None)
    assert found == [(0, 2, 2, "done"), (1, 2, 2, "done")]


LOADS = """
import os, sys
import torch, outlast

class Rows(torch.utils.data.Dataset):
    '''Each row beats, speaks and begins a training of its own in the process that loads it.'''
    def __init__(self, run): self.run = run
    def __len__(self): return 8
    def __getitem__(self, index):
        if os.getpid() == int(os.environ["TRAINER"]):
            raise AssertionError("loaded in the trainer")
        self.run.step(loss=99.0, secret=99.0)
        self.run.saved("/from/a/worker")
        self.run.done()
        with outlast.training(total_steps=77) as own:
            own.step(step=77, loss=77.0)
        return torch.ones(1)

if __name__ == "__main__":
    os.environ["TRAINER"] = str(os.getpid())
    run = outlast.training(total_steps=100)
    loader = torch.utils.data.DataLoader(
        Rows(run), batch_size=2, num_workers=2, multiprocessing_context=sys.argv[1]
    )
    for epoch in range(2):
        for batch in run.track(loader):
            run.step(loss=batch.sum())
    print(sorted(os.listdir(os.environ["OUTLAST_HEARTBEAT"])), os.getpid())
    run.__exit__(None, None, None)
"""


@pytest.mark.live
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_of_a_dataloader_never_speak_for_their_rank(tmp_path: Path, start: str) -> None:
    script, beats = tmp_path / "train.py", tmp_path / "beats"
    script.write_text(LOADS)
    beats.mkdir()
    env = {**os.environ, "PYTHONPATH": SOURCE, "OUTLAST_RUN_ID": "r", "OUTLAST_HEARTBEAT": str(beats)}
    done = subprocess.run(
        [sys.executable, str(script), start], env=env, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = beats.iterdir()
    assert done.stdout.split()[0] == f"['{path.name}']"
    page = heartbeat.Page(str(path))
    beat = page.read()
    assert beat is not None
    assert (beat.step, beat.loss, beat.total, beat.word, beat.saved) == (8, 2.0, 100, "left", None)
    assert beat.pid == int(done.stdout.split()[-1])
    assert [value for _, _, value in page.take()[0]] == [2.0] * 8
    page.close()


@pytest.mark.live
def test_the_plain_example_of_the_docs_trains_saves_and_resumes(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "nn.Linear" in block]
    (tmp_path / "train.py").write_text(code)
    for attempt, resume in enumerate(("", "out/step-000500.pt")):
        beats = tmp_path / f"beats-{attempt}"
        beats.mkdir()
        env = {**os.environ, "PYTHONPATH": SOURCE, "OUTLAST_RUN_ID": "r", "OUTLAST_HEARTBEAT": str(beats)}
        env |= {"OUTLAST_RESUME_FROM": resume, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=env, check=True, timeout=50)
        (path,) = beats.iterdir()
        page = heartbeat.Page(str(path))
        beat = page.read()
        assert beat is not None
        assert (beat.first_step, beat.step, beat.word) == (501 if resume else 1, 1000, "done")
        assert beat.saved is not None
        assert beat.saved[1:] == (1000, str(tmp_path / "out" / "step-001000.pt"))
        assert page.take()[0][-1][:2] == (1000, "loss")
        page.close()
