"""Where the workspace is, whether it may be trusted, and how it and its run folders come to be.

Knows owners, modes, mounts. Refuses to know what is kept inside.
"""

from __future__ import annotations

import errno
import os
import stat

from outlast.disk.layout import CONFIG, HIDDEN, Workspace
from outlast.errors import NotFound, RefusedError, UserError, WorldError

LOCAL = "local"
SCHEMA = 1
SAME_SECOND_MAX = 1000
# File systems that other hosts may write to at the same time.
NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "9p",
        "afs",
        "orangefs",
        "pvfs2",
        "wekafs",
        "ocfs2",
        "gfs2",
        "panfs",
        "virtiofs",
        "fhgfs",
        "ncpfs",
        "coda",
        "acfs",
        "daos",
    ]
)
LOCAL_FUSE = frozenset(
    ["fuse", "fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs", "fuse.gocryptfs"]
)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def find(given: str | None) -> Workspace | None:
    """--workspace DIR, else $OUTLAST_WORKSPACE, else the nearest parent that holds outlast.yaml or .outlast/; None:
    there is none. Raises UserError if a folder that was named is none."""
    named = given or os.environ.get("OUTLAST_WORKSPACE")
    if named is None:
        return _nearest(_here())
    if not os.path.isdir(named):
        source = "--workspace" if given else "$OUTLAST_WORKSPACE"
        raise UserError(f"{source} {named}: there is no such folder; make it first")
    return Workspace(named)


def existing(given: str | None, *, reading: bool = False) -> Workspace:
    """The workspace, checked. Raises NotFound, RefusedError."""
    workspace = find(given)
    if workspace is None:
        raise NotFound(
            f"no workspace in {_here()} or above: go to one, name it with --workspace DIR, "
            "or make one with `outlast run -- COMMAND`"
        )
    check(workspace, reading=reading)
    if not os.path.isdir(workspace.hidden) and not os.path.exists(workspace.config):
        raise NotFound(f"{workspace.root} holds neither {HIDDEN}/ nor {CONFIG}: it is no workspace yet")
    return workspace


def check(workspace: Workspace, *, reading: bool = False) -> None:
    """Refuse what somebody else could have written. A reader is content with a foreign workspace that its owner
    opened to a group. Raises RefusedError."""
    for path in (workspace.root, workspace.hidden, workspace.config):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RefusedError(f"{path}: cannot be looked at: {error.strerror}") from error
        shared = reading and bool(found.st_mode & (stat.S_IRGRP | stat.S_IROTH))
        if found.st_uid not in (os.geteuid(), 0) and not shared:
            raise RefusedError(
                f"{path} belongs to uid {found.st_uid}, not to you: nothing is started from it; "
                "use a workspace of your own (--workspace DIR)"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            who = "anybody" if found.st_mode & stat.S_IWOTH else "its group"
            raise RefusedError(f"{path} can be written by {who}: run `chmod go-w {path}` first")


def make(given: str | None) -> Workspace:
    """The workspace, made in the current folder if there is none. Raises RefusedError: not ours, not writable, a file
    system without hard links."""
    from outlast.disk import files

    workspace = find(given) or Workspace(_here())
    check(workspace)
    marker = os.path.join(workspace.hidden, "workspace.json")
    if os.path.exists(marker):
        return workspace
    try:
        files.make_directory(workspace.hidden)
        files.replace_bytes(os.path.join(workspace.hidden, ".gitignore"), b"*\n")
    except WorldError as error:
        raise _refused(workspace, error) from error
    try:
        files.make_once(marker, {"schema": SCHEMA})  # a door like every other: it needs a hard link
    except WorldError as error:
        if _number(error) in _NO_LINKS:
            raise RefusedError(
                f"{workspace.root}: this file system ({filesystem(workspace.root)}) has no hard links, without which "
                "nothing is safe from being started twice; use a workspace elsewhere (--workspace DIR)"
            ) from error
        raise
    check(workspace)
    return workspace


def place_name(workspace: Workspace) -> str:
    """Which place of the workspace this host rules: `local`, or the host's name where other hosts share the files."""
    from outlast.disk.identity import host

    return host() if is_network(filesystem(workspace.root)) else LOCAL


def claim_run(workspace: Workspace, stem: str) -> str:
    """Make the folder of a new run exclusively: its id is `stem`, or `stem-2`, ... Raises RefusedError, WorldError."""
    from outlast.disk import files

    try:
        files.make_directory(workspace.runs)
        for count in range(1, SAME_SECOND_MAX):
            run_id = stem if count == 1 else f"{stem}-{count}"
            try:
                os.mkdir(os.path.join(workspace.runs, run_id), files.DIRECTORY_MODE)
            except FileExistsError:
                continue
            files.fsync_directory(workspace.runs)
            return run_id
    except WorldError as error:
        raise _refused(workspace, error) from error
    except OSError as error:
        refused = WorldError(f"cannot make a run in {workspace.runs}: {error.strerror}")
        refused.__cause__ = error
        raise _refused(workspace, refused) from error
    raise WorldError(f"{workspace.runs}: {SAME_SECOND_MAX} runs named {stem} stand there already")


def filesystem(path: str, mountinfo: str | None = None) -> str:
    """The type of the file system that holds `path`, by proc(5) mountinfo; "" where that cannot be read."""
    if mountinfo is None:
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                mountinfo = file.read()
        except OSError:
            return ""
    path = os.path.realpath(path)
    longest, found = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = _unescaped(left.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two mounts on one point the later hides the earlier
            longest, found = len(point), right.split(" ")[0]
    return found


def is_network(kind: str) -> bool:
    return kind in NETWORK or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def _nearest(start: str) -> Workspace | None:
    home, device = os.path.expanduser("~"), os.stat(start).st_dev
    folder = start
    while True:
        if os.path.exists(os.path.join(folder, CONFIG)) or _is_hidden_folder(os.path.join(folder, HIDDEN)):
            return Workspace(folder)
        parent = os.path.dirname(folder)
        if folder in (home, parent) or os.stat(parent).st_dev != device:
            return None
        folder = parent


def _is_hidden_folder(path: str) -> bool:
    """Not the folder of the same name that lies beside checkpoints."""
    if not os.path.isdir(path):
        return False
    return not any(os.path.exists(os.path.join(path, name)) for name in ("pins", "quarantine"))


def _here() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise UserError(f"the current folder is gone ({error.strerror}): cd somewhere else") from error


def _refused(workspace: Workspace, error: WorldError) -> WorldError | RefusedError:
    if _number(error) not in _NOT_WRITABLE:
        return error
    return RefusedError(
        f"{workspace.root}: the workspace cannot be written ({error}): make it writable, or use --workspace DIR"
    )


def _number(error: WorldError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def _unescaped(point: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        point = point.replace(code, chr(int(code[1:], 8)))
    return point
