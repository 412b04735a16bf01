"""The caller's environment as a run gets it, at every attempt: whole, less what belongs to this session or launcher.

Knows names. Refuses to print a value, ever.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping

from outlast.disk import files
from outlast.errors import UserError

SCHEMA = 1
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # what a shell can set, too
SESSION_PREFIXES = ("SSH_", "TMUX", "OUTLAST_")
SESSION_NAMES = frozenset({"DISPLAY", "WAYLAND_DISPLAY"})
# Of a scheduler's job and of the launcher inside it: true for this process, wrong for an attempt tomorrow. Inline they
# stay: every attempt runs inside the same allocation.
JOB_PREFIXES = ("SLURM_", "SBATCH_", "SRUN_", "TORCHELASTIC_", "OMPI_", "PMI_")
JOB_NAMES = frozenset(
    ["RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"]
)


def captured(environ: Mapping[str, str], added: Iterable[str], *, inline: bool) -> dict[str, str]:
    """`added`: the words of --env, `K=V` or `K` (its value here, whatever K is). Raises UserError, which names no
    value: it may be a secret."""
    kept = {name: value for name, value in environ.items() if not _dropped(name, inline)}
    for word in added:
        name, equals, value = word.partition("=")
        if not equals and name in environ:
            value = environ[name]
        elif not NAME.fullmatch(name) or "\0" in value:
            raise UserError(f"--env {name + equals!r}: {_wrong(name)}; write K=V, or K to hand on its value")
        elif not equals:
            raise UserError(f"--env {name}: it is not set here; write {name}=VALUE")
        kept[name] = value
    return kept


def write(path: str, environment: Mapping[str, str]) -> None:
    """Mode 0600. ASCII escapes keep bytes that are not UTF-8 (as surrogates). Raises WorldError."""
    record = {"schema": SCHEMA, "env": dict(environment)}
    files.replace_bytes(path, json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n")


def read(path: str) -> dict[str, str]:
    """Raises WorldError, UserError if it is gone."""
    record = files.read(path)
    if record is None:
        raise UserError(f"{path}: the environment of that run is gone; start it anew with `outlast run`")
    return {str(name): str(value) for name, value in record["env"].items()}


def _wrong(name: str) -> str:
    if not name:
        return "the name is missing"
    if not NAME.fullmatch(name):
        return "no name of a variable (letters, digits and _, a digit not first)"
    return "its value holds a zero byte"


def search_path() -> str:
    return os.environ.get("PATH", os.defpath)


def _dropped(name: str, inline: bool) -> bool:
    if name in SESSION_NAMES or name.startswith(SESSION_PREFIXES):
        return True
    return not inline and (name in JOB_NAMES or name.startswith(JOB_PREFIXES))
