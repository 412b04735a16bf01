"""Which versions of the libraries a training gets, from the folders of its interpreter. Nothing is started or imported.

Knows where Python puts what pip installs. Refuses to know which of them the training uses.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence

from outlast.facts import Known, NotLocked, Trait

WANTED = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "lightning",
    "pytorch_lightning",
    "trl",
    "deepspeed",
    "datasets",
)
_INSTALLED = re.compile(r"(?P<name>[\w.]+)-(?P<version>[^-]+)\.dist-info")
_LIBRARY = re.compile(r"python3\.\d+t?")


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Trait:
    for prefix in _prefixes(argv, environment):
        fields = dict(_versions(prefix))
        if any(name in fields for name in WANTED):
            shown = tuple(sorted(fields.items()))
            return Known(
                ", ".join(f"{name} {version}" for name, version in shown),
                "dist-info",
                prefix,
                shown,
                partial=True,
            )
    return NotLocked("the interpreter of the training is not known, or has none of the libraries")


def _prefixes(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Of the program itself where it is Python or lies beside one; else of the environment that is active."""
    program = argv[0] if argv else ""
    if _is_beside_python(program):
        yield os.path.dirname(os.path.dirname(program))
        return
    yield from (environment[name] for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if environment.get(name))
    for name in ("python", "python3"):
        found = shutil.which(name, path=environment.get("PATH", os.defpath))
        if found is not None:
            yield os.path.dirname(os.path.dirname(found))


def _is_beside_python(program: str) -> bool:
    """A console script (torchrun, accelerate) runs the Python that it lies beside; /bin/sh does not."""
    if re.match(r"python[\d.]*t?$", os.path.basename(program)):
        return True
    folder = os.path.dirname(program)
    if os.path.basename(program) in ("sh", "bash", "zsh", "env", "srun"):
        return False
    return any(os.path.exists(os.path.join(folder, name)) for name in ("python", "python3"))


def _versions(prefix: str) -> Iterator[tuple[str, str]]:
    for folder in _libraries(prefix):
        for name in _listed(folder):
            found = _INSTALLED.fullmatch(name)
            if found is not None and found["name"].lower() in WANTED:
                yield found["name"].lower(), found["version"]


def _libraries(prefix: str) -> Iterator[str]:
    """Later ones win, as the first on sys.path should."""
    for root in dict.fromkeys((prefix, "/usr/local" if prefix == "/usr" else prefix)):
        yield os.path.join(root, "lib", "python3", "dist-packages")
        for name in sorted(_listed(os.path.join(root, "lib"))):
            if _LIBRARY.fullmatch(name):
                yield os.path.join(root, "lib", name, "dist-packages")
                yield os.path.join(root, "lib", name, "site-packages")


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # there is none
