"""Whether a checkpoint loads (level 3): each file of it is loaded as a training would do it, by a Python of the
caller's choice, in a process with limits: of time, memory, what it may write, and no network where the kernel lets us.

Nothing is unpickled that names more than plain containers and tensors (`weights_only=True`). Asked for only of what is
whole already: what names programs never comes here. Refuses to know formats; folders of torch.distributed.checkpoint
and of Orbax are not loaded.
"""

import json
import os
import signal
import subprocess
from typing import NamedTuple

from outlast.checkpoints.parts import listing
from outlast.errors import UserError
from outlast.facts import Unsure, Verdict, Whole

LOADED = 3
WITHIN_S = 600.0
MEMORY_SPARE, MEMORY_TIMES = 4 << 30, 3  # torch itself; a file, its tensors, and once more
WRITTEN_MAX = 1 << 20
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz")
NOT_PLAIN = "training_args.bin"  # a pickle of its library's own classes, and no state of the training
SAID_MAX = 200
PROGRAM = r"""
import json, os, re, resource, sys
memory, cpu, written = map(int, sys.argv[1:4])
resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    os.unshare(0x40000000)  # CLONE_NEWNET; since Python 3.12, and with the right to
except (AttributeError, OSError):
    pass

def load(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file
        load_file(path)
    elif path.endswith(".npz"):
        import numpy
        with numpy.load(path, allow_pickle=False) as found:
            for name in found:
                found[name]
    else:
        import numpy, torch
        core = getattr(numpy, "_core", None) or numpy.core  # states of random generators are numpy's
        kinds = {type(numpy.dtype(code)) for code in "?bBhHiIlLqQefdFD"}
        torch.serialization.add_safe_globals([core.multiarray._reconstruct, numpy.ndarray, numpy.dtype, *kinds])
        torch.load(path, map_location="cpu", weights_only=True)

for line in sys.stdin:
    path = json.loads(line)
    try:
        load(path)
        said = ""
    except BaseException as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        said = f"{type(error).__name__}: {' '.join(plain.split())}"
    print(json.dumps([path, said]), flush=True)
"""


class Limits(NamedTuple):
    """`python`: the program that loads, as the training has it."""

    python: str
    within_s: float = WITHIN_S


def loaded(verdict: Verdict, path: str, limits: Limits) -> Verdict:
    """The verdict at level 3 if all of it loads; else why not. Of what is not whole nothing is loaded. Raises
    UserError: that Python cannot be started."""
    if not isinstance(verdict, Whole):
        return verdict
    files = _files(path)
    if not files:
        note = "nothing in it is of a kind that is loaded here"
        return Whole(verdict.level, verdict.digest, verdict.finite, (*verdict.notes, note))
    said, how = _ask(files, limits)
    ill = [f"{os.path.relpath(name, path)}: {said[name]}" for name in files if said.get(name)]
    unsaid = [name for name in files if name not in said]
    if unsaid:
        ill.append(f"{os.path.relpath(unsaid[0], path)}: whoever loaded it {how}")
    if ill:
        return Unsure(tuple(f"does not load: {each.removeprefix('.: ')[:SAID_MAX]}" for each in ill))
    return Whole(LOADED, verdict.digest, verdict.finite, verdict.notes)


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path] if path.endswith(SUFFIXES) else []
    return [
        os.path.join(folder, name)
        for folder, _, names in listing.walk(path)
        for name in names
        if name.endswith(SUFFIXES) and name != NOT_PLAIN
    ]


def _ask(files: list[str], limits: Limits) -> tuple[dict[str, str], str]:
    """({file: why it does not load, "" if it does}, how the process ended that did not speak of the others)."""
    largest = max(os.stat(name).st_size for name in files)
    memory = MEMORY_SPARE + MEMORY_TIMES * largest
    words = [limits.python, "-I", "-c", PROGRAM, str(memory), str(int(limits.within_s)), str(WRITTEN_MAX)]
    asked = "".join(json.dumps(name) + "\n" for name in files)
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    try:
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=quiet, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, _ = process.communicate(asked, limits.within_s)
                how = f"ended with {_how(process.returncode)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, _ = process.communicate()
                how = f"was not done within {limits.within_s:.0f} s"
    except OSError as error:
        raise UserError(f"{limits.python}: cannot be started: {error.strerror}") from error
    said = {}
    for line in out.splitlines():
        if line.startswith("["):
            name, why = json.loads(line)
            said[name] = why
    return said, how


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
