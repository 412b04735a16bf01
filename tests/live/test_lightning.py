"""The callback in the real Lightning Trainer, under both of its names."""

import importlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import outlast
from tests.live.frameworks import Watched, watched

torch: Any = importlib.import_module("torch")
# What these libraries and torch warn each other of is not ours to mend.
pytestmark = [pytest.mark.live, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def pl(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with watched(tmp_path / "beats", monkeypatch) as each:
        yield each


def callback() -> Any:
    """For the packages that are loaded by now: a training loads one, this test both."""
    module = import_module("outlast.lightning")
    vars(module).pop("Callback", None)
    return outlast.lightning.Callback()


def fit(
    pl: Any,
    tmp_path: Path,
    seen: Watched,
    stop_at: int | None = None,
    more: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Ten batches an epoch, two epochs; checkpoints each epoch."""

    class Model(pl.LightningModule):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch).pow(2).mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.layer(batch).pow(2).mean())
            seen.look("sanity" if self.trainer.sanity_checking else "validate")

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def on_train_batch_start(self, batch: Any, index: int) -> None:
            beat = seen.look("begin")
            if beat.step == stop_at:
                seen.page.tell(beat.step + 1)

    loader = torch.utils.data.DataLoader(torch.randn(20, 4), batch_size=2)
    settings: dict[str, Any] = {
        "max_epochs": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "default_root_dir": str(tmp_path),
    }  # fmt: skip
    settings |= options
    saves = pl.callbacks.ModelCheckpoint(dirpath=str(tmp_path / "out"), save_top_k=-1)
    made = pl.Trainer(callbacks=[callback(), saves, *more], **settings)
    made.fit(Model(), loader, loader)
    return made


def test_steps_total_losses_and_the_last_word_are_the_trainers_own(
    pl: Any, tmp_path: Path, seen: Watched
) -> None:
    fit(pl, tmp_path, seen)
    beat = seen.look()
    assert (beat.step, beat.total, beat.first_step, beat.word) == (20, 20, 1, "done")
    assert [step for step, _ in seen.of("loss")] == list(range(1, 21))
    assert beat.loss is not None
    assert [step for step, _ in seen.of("val_loss")] == [10, 20]


def test_validation_is_a_section_and_a_checkpoint_is_told_once_it_is_written(
    pl: Any, tmp_path: Path, seen: Watched
) -> None:
    fit(pl, tmp_path, seen)
    sections = {event: {open_ for each, _, open_ in seen.seen if each == event} for event, _, _ in seen.seen}
    assert sections == {"sanity": {("eval",)}, "begin": {()}, "validate": {("eval",)}}
    saved = seen.look().saved
    assert saved is not None
    assert saved[:2] == (2, 20)
    assert Path(saved[2]).parent == tmp_path / "out"
    assert Path(saved[2]).is_file()


@pytest.mark.parametrize("after", ["validate", "test", "predict"])
def test_what_follows_the_fit_is_a_section_that_is_new_with_each_batch(
    pl: Any, tmp_path: Path, seen: Watched, after: str
) -> None:
    """It may take longer than any validation of the fit did, as long as it goes on."""
    made = fit(pl, tmp_path, seen, max_epochs=1)
    looks = []

    class Looks(pl.Callback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def looks(self, *_: Any, **__: Any) -> None:
            looks.append(seen.look().sections)

        on_validation_batch_end = on_test_batch_end = on_predict_batch_end = looks

    class Model(pl.LightningModule):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def validation_step(self, batch: Any, index: int) -> None:
            return None

        test_step = predict_step = validation_step

    made.callbacks.append(Looks())
    getattr(made, after)(Model(), torch.utils.data.DataLoader(torch.randn(6, 4), batch_size=2))
    assert [name for ((name, _, _),) in looks] == [after] * 3
    assert len({serial for ((_, _, serial),) in looks}) == 3
    beat = seen.look()
    assert (beat.word, beat.step, beat.sections) == ("done", 10, ())


def test_a_fit_that_fails_was_left(pl: Any, tmp_path: Path, seen: Watched) -> None:
    class Fails(pl.Callback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 3:
                raise RuntimeError("nonsense")

    with pytest.raises(RuntimeError, match="nonsense"):
        fit(pl, tmp_path, seen, more=[Fails()])
    beat = seen.look()
    assert (beat.word, beat.step, beat.sections) == ("left", 3, ())


def test_a_step_is_an_optimizer_step_when_gradients_are_accumulated(
    pl: Any, tmp_path: Path, seen: Watched
) -> None:
    fit(pl, tmp_path, seen, accumulate_grad_batches=5, max_epochs=1)
    assert (seen.look().step, seen.look().total, seen.look().seq) == (2, 2, 2)


@pytest.mark.parametrize("at_least", [{}, {"min_epochs": 2}, {"min_steps": 20}])
def test_asked_to_stop_it_saves_at_that_step_leaves_and_says_stopped(
    pl: Any, tmp_path: Path, seen: Watched, at_least: dict[str, Any]
) -> None:
    made = fit(pl, tmp_path, seen, stop_at=6, **at_least)
    beat = seen.look()
    assert (beat.step, beat.word, beat.word_step, beat.flag) == (7, "stopped", 7, 2)
    assert beat.saved is not None
    assert torch.load(beat.saved[2], weights_only=False)["global_step"] == 7
    assert made.global_step == 7


def test_resumed_it_goes_on_counting(pl: Any, tmp_path: Path, seen: Watched) -> None:
    fit(pl, tmp_path, seen, stop_at=6)
    saved = seen.look().saved
    assert saved is not None
    with pytest.MonkeyPatch.context() as patch, watched(tmp_path / "again", patch) as again:
        made = fit_again(pl, tmp_path, again, saved[2])
        beat = again.look()
        assert (beat.step, beat.first_step, beat.word) == (made.global_step, 8, "done")


def fit_again(pl: Any, tmp_path: Path, seen: Watched, checkpoint: str) -> Any:
    class Model(pl.LightningModule):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return {"loss": self.layer(batch).pow(2).mean()}

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    made = pl.Trainer(
        callbacks=[callback()], max_epochs=2, accelerator="cpu", devices=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=str(tmp_path),
    )  # fmt: skip
    made.fit(Model(), torch.utils.data.DataLoader(torch.randn(20, 4), batch_size=2), ckpt_path=checkpoint)
    return made
