"""Where a model named on a command line lies here: a folder, or a snapshot in the Hugging Face cache.

Layout of the cache: https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Nothing is asked of a network.
Refuses to know what lies in the folder.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from outlast.facts import NotLocked

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SNAPSHOT = re.compile(r"/models--[^/]+/snapshots/([0-9a-f]{7,64})(?:/|$)")
REF_BYTES_MAX = 200
MAIN = "main"


class Place(NamedTuple):
    """`revision`: the commit, where it lies in the cache."""

    path: str
    revision: str


def resolve(named: str, cwd: str, environment: Mapping[str, str], revision: str = "") -> Place | NotLocked:
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(named)))
    if os.path.exists(path):
        inside = _SNAPSHOT.search(os.path.abspath(path))
        return Place(path, inside[1] if inside else "")
    if is_path(named) or not _NAME.fullmatch(named):
        return NotLocked(f"{path} is not there")
    for cache in _caches(environment):
        found = _snapshot(os.path.join(cache, "models--" + named.replace("/", "--")), revision or MAIN)
        if found is not None:
            return found
    return NotLocked(f"{named} is no folder here, and not in the Hugging Face cache yet")


def is_path(named: str) -> bool:
    """Whether it can only be meant as one."""
    return named.startswith(("/", ".", "~")) or named.count("/") > 1


def _snapshot(model: str, revision: str) -> Place | None:
    commit = revision
    try:
        with open(os.path.join(model, "refs", revision), encoding="ascii") as file:
            commit = file.read(REF_BYTES_MAX).strip()
    except (OSError, ValueError):
        pass  # a commit is named by itself
    path = os.path.join(model, "snapshots", commit)
    return Place(path, commit) if commit and os.path.isdir(path) else None


def _caches(environment: Mapping[str, str]) -> list[str]:
    """The one that the libraries would take: the first variable that is set rules."""
    home = environment.get("HOME", os.path.expanduser("~"))
    xdg = environment.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    hub = environment.get("HF_HOME") or os.path.join(xdg, "huggingface")
    found = [
        environment.get("HF_HUB_CACHE"),
        environment.get("HUGGINGFACE_HUB_CACHE"),
        os.path.join(hub, "hub"),
    ]
    older = [environment.get("TRANSFORMERS_CACHE")]
    return [os.path.expanduser(each) for each in [next(filter(None, found)), *older] if each]
