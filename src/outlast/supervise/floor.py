"""The workspace's own copy of the ground floor, so that runs survive upgrades and deleted environments.

Knows which files make the ground floor and their hash. Refuses to know who runs them.
"""

import compileall
import hashlib
import os
import secrets
import shutil

import outlast
from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError

SOURCE = os.path.dirname(os.path.abspath(outlast.__file__))
PARTS = ("__init__.py", "errors.py", "disk", "runner", "sdk")


def ground_floor(workspace: Workspace) -> str:
    """The folder to put on a runner's path: .outlast/bin/VERSION-HASH, made if it is missing or not as it should be.

    Raises WorldError.
    """
    sources = _sources(SOURCE)
    folder = os.path.join(workspace.bin, f"{outlast.__version__}-{_digest(sources)[:12]}")
    package = os.path.join(folder, "outlast")
    if _digest(_sources(package)) != _digest(sources):
        _make(folder, sources)
    return folder


def _make(folder: str, sources: dict[str, bytes]) -> None:
    staging = f"{folder}.{secrets.token_hex(4)}.tmp"
    try:
        for name, body in sources.items():
            path = os.path.join(staging, "outlast", name)
            files.make_directory(os.path.dirname(path))
            files.replace_bytes(path, body)
        compileall.compile_dir(staging, quiet=2)
        if _is_damaged(folder, sources):  # still: another may have made it whole since
            trashed = files.move_to_trash(folder, os.path.join(os.path.dirname(folder), "trash"))
            if trashed is not None:
                shutil.rmtree(trashed, ignore_errors=True)
        files.publish_directory(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_damaged(folder: str, sources: dict[str, bytes]) -> bool:
    package = os.path.join(folder, "outlast")
    return os.path.isdir(folder) and _digest(_sources(package)) != _digest(sources)


def _sources(package: str) -> dict[str, bytes]:
    """Relative name -> content of every module of the ground floor that is there."""
    found: dict[str, bytes] = {}
    try:
        for part in PARTS:
            path = os.path.join(package, part)
            if os.path.isfile(path):
                found[part] = _read(path)
            for folder, _, names in os.walk(path):
                for name in sorted(names):
                    if name.endswith(".py"):
                        file = os.path.join(folder, name)
                        found[os.path.relpath(file, package)] = _read(file)
    except OSError as error:
        raise WorldError(f"cannot read the ground floor in {package}: {error}") from error
    return found


def _read(path: str) -> bytes:
    """Of the file itself: some installers make a package of links."""
    return files.read_bytes(os.path.realpath(path)) or b""


def _digest(sources: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{len(sources[name])}\0".encode() + sources[name])
    return digest.hexdigest()
