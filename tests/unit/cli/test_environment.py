"""What of the caller's environment a run gets."""

import json
import os
import stat
from pathlib import Path

import pytest

from outlast.cli import environment
from outlast.errors import UserError

SESSION = [
    "SSH_AUTH_SOCK",
    "SSH_CONNECTION",
    "TMUX",
    "TMUX_PANE",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "OUTLAST_RUN_ID",
]
JOB = [
    "SLURM_JOB_ID", "SBATCH_PARTITION", "SRUN_DEBUG", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "OMPI_COMM_WORLD_RANK", "PMI_RANK",
]  # fmt: skip
KEPT = [
    "PATH",
    "HOME",
    "CONDA_PREFIX",
    "HF_TOKEN",
    "CUDA_VISIBLE_DEVICES",
    "SLURMY",
    "RANKING",
    "DISPLAY_NAME",
]


@pytest.mark.parametrize("name", SESSION)
@pytest.mark.parametrize("inline", [True, False])
def test_what_belongs_to_this_session_is_dropped(name: str, inline: bool) -> None:
    assert environment.captured({name: "x"}, [], inline=inline) == {}


@pytest.mark.parametrize("name", JOB)
def test_what_belongs_to_a_job_stays_only_inline(name: str) -> None:
    assert environment.captured({name: "x"}, [], inline=False) == {}
    assert environment.captured({name: "x"}, [], inline=True) == {name: "x"}


@pytest.mark.parametrize("name", KEPT)
def test_all_else_is_captured(name: str) -> None:
    assert environment.captured({name: "x"}, [], inline=False) == {name: "x"}


def test_added_words_win_also_over_what_is_dropped() -> None:
    here = {"A": "1", "MASTER_PORT": "2"}
    added = ["A=9", "B=x=y", "MASTER_PORT", "E="]
    assert environment.captured(here, added, inline=False) == {
        "A": "9",
        "B": "x=y",
        "MASTER_PORT": "2",
        "E": "",
    }


@pytest.mark.parametrize("word", ["UNSET", "=x", "", "1=x", "A-B=x", "A B=x", "ÄÖ=x", "A=x\0", "1"])
def test_a_word_that_gives_no_value_is_refused_without_its_value(word: str) -> None:
    with pytest.raises(UserError, match=f"--env '?{word.partition('=')[0]}") as raised:
        environment.captured({}, [word], inline=False)
    assert "x" not in str(raised.value).partition(":")[0]


def test_an_odd_name_that_stands_in_the_environment_may_be_handed_on() -> None:
    odd = {"BASH_FUNC_f%%": "() { :; }", "DISPLAY": ":0"}
    assert environment.captured(odd, ["BASH_FUNC_f%%", "DISPLAY"], inline=False) == odd


def test_the_file_is_private_and_keeps_every_byte(tmp_path: Path) -> None:
    path = str(tmp_path / "env")
    odd = os.fsdecode(b"caf\xe9 \xff")
    old = os.umask(0)
    try:
        environment.write(path, {"A": odd, "B": "ü"})
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert environment.read(path) == {"A": odd, "B": "ü"}
    assert json.loads(Path(path).read_bytes())["schema"] == 1


def test_an_environment_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is gone"):
        environment.read(str(tmp_path / "env"))
