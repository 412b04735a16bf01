"""Where the workspace is, whom it may belong to, and how runs get their folders."""

import os
import stat
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import NotFound, RefusedError, UserError, WorldError

ROOT = os.geteuid() == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, which is $HOME, so that nothing above it is looked at."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OUTLAST_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inside(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    monkeypatch.chdir(folder)
    return folder


def test_the_option_outranks_the_variable_and_both_outrank_the_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (home / name / ".outlast").mkdir(parents=True)
    monkeypatch.chdir(home / "c")
    assert workspaces.find(None) == Same(home / "c")
    monkeypatch.setenv("OUTLAST_WORKSPACE", str(home / "b"))
    assert workspaces.find(None) == Same(home / "b")
    assert workspaces.find(str(home / "a")) == Same(home / "a")


@pytest.mark.parametrize("mark", [".outlast", "outlast.yaml"])
def test_the_nearest_parent_is_found(home: Path, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    (home / "outer" / ".outlast").mkdir(parents=True)
    inner = home / "outer" / "inner"
    inner.mkdir()
    (inner / mark).mkdir() if mark == ".outlast" else (inner / mark).touch()
    inside(monkeypatch, inner / "src" / "deep")
    assert workspaces.find(None) == Same(inner)


def test_nothing_above_home_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".outlast").mkdir()
    monkeypatch.setenv("HOME", str(home / "me"))
    inside(monkeypatch, home / "me" / "work")
    assert workspaces.find(None) is None


def test_home_itself_may_be_the_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".outlast").mkdir()
    inside(monkeypatch, home / "work")
    assert workspaces.find(None) == Same(home)


def test_the_folder_beside_checkpoints_is_no_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".outlast").mkdir()
    (home / "ckpt" / ".outlast" / "pins").mkdir(parents=True)
    monkeypatch.chdir(home / "ckpt")
    assert workspaces.find(None) == Same(home)


def test_a_folder_that_was_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        workspaces.find(str(home / "nowhere"))
    monkeypatch.setenv("OUTLAST_WORKSPACE", str(home / "nowhere"))
    with pytest.raises(UserError, match="OUTLAST_WORKSPACE"):
        workspaces.find(None)


def test_a_reader_without_a_workspace_is_told_what_to_do(home: Path) -> None:
    with pytest.raises(NotFound, match="outlast run"):
        workspaces.existing(None)
    with pytest.raises(NotFound, match="no workspace yet"):
        workspaces.existing(str(home))


def test_making_a_workspace_hides_it_from_git_and_from_others(home: Path) -> None:
    workspace = workspaces.make(None)
    assert workspace == Same(home)
    assert (home / ".outlast" / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE((home / ".outlast").stat().st_mode) == 0o700
    for file in (home / ".outlast").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_modes_hold_under_any_umask(home: Path) -> None:
    old = os.umask(0)
    try:
        workspaces.make(None)
        run = workspaces.claim_run(Workspace(str(home)), "x-20260101-000000")
    finally:
        os.umask(old)
    assert stat.S_IMODE((home / ".outlast").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / ".outlast" / "runs" / run).stat().st_mode) == 0o700


def test_making_twice_is_the_same(home: Path) -> None:
    workspaces.make(None)
    before = sorted(os.listdir(home / ".outlast"))
    workspaces.make(None)
    assert sorted(os.listdir(home / ".outlast")) == before


@pytest.mark.parametrize("number", [1, 95, 38])  # EPERM, EOPNOTSUPP, ENOSYS
def test_a_file_system_without_hard_links_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(RefusedError, match="hard links"):
        workspaces.make(None)
    with pytest.raises(RefusedError, match="hard links"):  # also the second time, when .outlast/ stands there
        workspaces.make(None)


def test_a_full_disk_is_not_taken_for_missing_hard_links(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(WorldError, match="No space left"):
        workspaces.make(None)


@pytest.mark.parametrize("number", [13, 30])  # EACCES, EROFS
def test_a_workspace_that_cannot_be_written_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def denied(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", denied)
    with pytest.raises(RefusedError, match="cannot be written") as raised:
        workspaces.make(None)
    assert str(home) in str(raised.value)
    assert not (home / ".outlast").exists()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
@pytest.mark.parametrize("what", [".", ".outlast", "outlast.yaml"])
@pytest.mark.parametrize("reading", [True, False])
def test_what_others_can_write_is_refused(home: Path, mode: int, what: str, reading: bool) -> None:
    workspaces.make(None)
    (home / "outlast.yaml").touch(mode=0o600)
    workspaces.existing(None, reading=reading)
    (home / what).chmod(mode)
    with pytest.raises(RefusedError, match="chmod go-w"):
        workspaces.existing(None, reading=reading)
    with pytest.raises(RefusedError, match="chmod go-w"):
        workspaces.make(None)


@pytest.mark.skipif(not ROOT, reason="only root can give a folder away")
@pytest.mark.parametrize("what", [".", ".outlast", "outlast.yaml"])
def test_what_belongs_to_somebody_else_is_refused(home: Path, what: str) -> None:
    workspaces.make(None)
    (home / "outlast.yaml").touch(mode=0o600)
    os.chown(home / what, 12345, 12345)
    (home / what).chmod(0o700)
    with pytest.raises(RefusedError, match="uid 12345"):
        workspaces.make(None)
    with pytest.raises(RefusedError, match="uid 12345"):
        workspaces.existing(None, reading=True)


@pytest.mark.skipif(not ROOT, reason="only root can give a folder away")
def test_a_reader_may_look_where_the_owner_lets_the_group_read(home: Path) -> None:
    workspaces.make(None)
    for path in (home, home / ".outlast"):
        os.chown(path, 12345, 12345)
        path.chmod(0o750)
    workspaces.existing(None, reading=True)
    with pytest.raises(RefusedError, match="uid 12345"):
        workspaces.existing(None)


def test_runs_of_the_same_second_get_different_folders(home: Path) -> None:
    workspace = workspaces.make(None)
    ids = [workspaces.claim_run(workspace, "x-20260101-000000") for _ in range(3)]
    assert ids == ["x-20260101-000000", "x-20260101-000000-2", "x-20260101-000000-3"]


def test_a_run_folder_is_never_shared(home: Path) -> None:
    workspace = workspaces.make(None)
    files.make_directory(os.path.join(workspace.runs, "x-20260101-000000"))
    assert workspaces.claim_run(workspace, "x-20260101-000000") == "x-20260101-000000-2"


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/scratch rw - xfs /dev/sdb rw
32 22 0:42 / /mnt/with\040space rw shared:9 master:2 - fuse.sshfs me@host: rw
33 22 0:43 / /data rw - ext4 /dev/sdc rw
34 22 0:44 / /data rw - lustre mgs:/lus rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homes/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/run", "nfs4"),
        ("/home/me/scratch/run", "xfs"),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/data/x", "lustre"),
    ],
)
def test_the_longest_and_latest_mount_holds_the_path(path: str, kind: str) -> None:
    assert workspaces.filesystem(path, MOUNTS) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "lustre", "gpfs", "beegfs", "9p", "fuse.sshfs", "fuse.juicefs"]
)
def test_on_a_network_file_system_the_place_is_the_host(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "filesystem", lambda path: kind)
    assert workspaces.place_name(Workspace("/x")) == os.uname().nodename


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.fuse-overlayfs", ""]
)
def test_on_a_local_file_system_the_place_is_local(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "filesystem", lambda path: kind)
    assert workspaces.place_name(Workspace("/x")) == "local"


class Same:
    """Equal to the workspace of that folder."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)
