"""R10, L25: the disk fills up while a checkpoint is saved, by each library, on a real file system of three megabytes.
The run waits for room, costs no attempt, and goes on from the checkpoint before.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_hang_runs import script
from tests.live.workspace import Bench, wait_for
from tests.unit.disk import faults

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
SIZE, FILLER = "3m", 1_500_000

LOOP = """
import os, torch
torch.set_num_threads(1)
torch.manual_seed(0)
IMPORTS
model = torch.nn.Linear(400, 400)  # 0.64 MB
first, resume = 1, os.environ["OUTLAST_RESUME_FROM"]
if resume:
    LOAD
    first = int(resume.rpartition("-")[2].removesuffix(".pt")) + 1
print("from", first, flush=True)
for step in range(first, 31):
    print(f"step {step}/30 loss {1 / step:.4f}", flush=True)
    if step % 10 == 0:
        path = f"ckpt/step-{step}"
        SAVE
"""
TORCH = ("", "model.load_state_dict(torch.load(resume))", 'torch.save(model.state_dict(), path + ".pt")')
SAFETENSORS = (
    "from safetensors.torch import load_file, save_file",
    'model.load_state_dict(load_file(resume + "/model.safetensors"))',
    'os.makedirs(path, exist_ok=True); save_file(model.state_dict(), path + "/model.safetensors")',
)
DCP = (
    "import torch.distributed.checkpoint as dcp",
    "state = model.state_dict(); dcp.load(state, checkpoint_id=resume); model.load_state_dict(state)",
    "dcp.save(model.state_dict(), checkpoint_id=path)",
)
LIGHTNING = """
import os, torch, lightning
from lightning.pytorch.callbacks import ModelCheckpoint
torch.set_num_threads(1)
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(400, 400)
    def training_step(self, batch, _):
        return self.layer(batch).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
saves = ModelCheckpoint(dirpath="ckpt", filename="{step}", every_n_train_steps=10, save_top_k=-1)
trainer = lightning.Trainer(
    max_steps=30, callbacks=[saves], logger=False, enable_progress_bar=False, accelerator="cpu",
    enable_model_summary=False,
)
rows = torch.utils.data.DataLoader(torch.ones(400, 400), batch_size=2)
print("from", os.environ["OUTLAST_RESUME_FROM"], flush=True)
trainer.fit(Model(), rows, ckpt_path=os.environ["OUTLAST_RESUME_FROM"] or None)
"""


def plain(imports: str, load: str, save: str) -> str:
    return LOOP.replace("IMPORTS", imports).replace("LOAD", load).replace("SAVE", save)


ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@pytest.fixture
def small(outlast: Bench) -> Iterator[Path]:
    """ckpt/, three megabytes of which more than one is taken."""
    folder = Path(outlast.root, "ckpt")
    folder.mkdir()
    with faults.small_disk(folder, SIZE):
        (folder / ".filler").write_bytes(b"x" * FILLER)
        yield folder
        outlast.end_everything()


@ROOT_ONLY
@pytest.mark.parametrize(
    "text",
    [plain(*TORCH), plain(*SAFETENSORS), plain(*DCP), LIGHTNING],
    ids=["torch.save", "safetensors", "torch.distributed.checkpoint", "Lightning"],
)
def test_r10_a_full_disk_is_waited_for_and_the_checkpoint_before_is_whole(
    outlast: Bench, small: Path, text: str
) -> None:
    run = outlast.start("--checkpoints", "ckpt", "--max-attempts", "1", command=script(outlast, text))

    def held() -> dict[str, Any] | None:
        shown = outlast.show(run)
        assert shown["phase"] != "ended", shown["why"]
        return shown if shown["waiting_for"] == "disk" else None

    shown = wait_for(held, "the disk", 120)
    assert (shown["attempts"][0]["cause"], shown["attempts"][0]["verdict"]) == ("disk_full", "failed")
    assert f"free at {small}" in shown["why"]
    assert "it goes on by itself" in shown["why"]
    assert "free at" in outlast.outlast("why", run.id).stdout
    (small / ".filler").unlink()
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    assert outlast.started(run, 2)["resumed_step"] == 20


def test_r11_a_quota_is_no_full_disk(outlast: Bench) -> None:
    text = """
import errno, os
print("step 1 loss 0.5", flush=True)
raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "ckpt/step-10.pt")
"""
    run = outlast.start("--checkpoints", "ckpt", "--max-attempts", "1", command=script(outlast, text))
    shown = outlast.ended(run, 60)
    assert shown["attempts"][0]["cause"] == "quota"
    assert "its disk quota is exceeded" in shown["why"]


@ROOT_ONLY
def test_a_training_that_fails_of_itself_beside_a_full_disk_is_not_held_for_it(
    outlast: Bench, small: Path
) -> None:
    faults.fill(small)
    run = outlast.start(
        "--checkpoints", "ckpt", "--max-attempts", "1", command=script(outlast, "raise SystemExit(3)")
    )
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], shown["attempts"][0]["cause"]) == ("failed", "exit")
