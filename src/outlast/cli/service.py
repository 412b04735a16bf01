"""`outlast service`: a systemd user unit that supervises this workspace from boot on.

Knows how such a unit must be written so that stopping it, or a training that runs out of memory, harms no run.
Refuses to install anything for the whole system.
"""

import os
import re
import shutil
import subprocess
import sys
import zlib
from argparse import Namespace

from outlast.cli.parse import Parser
from outlast.disk import files
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import OK, RefusedError, WorldError

SYSTEMCTL_S = 30.0
UNIT = """\
[Unit]
Description=outlast: training runs of {root}
Documentation=https://github.com/outlast/outlast

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
Restart=always
RestartSec=5
# Runners and trainings outlive their supervisor, and one that runs out of memory ends alone.
KillMode=process
OOMPolicy=continue
UMask=0077

[Install]
WantedBy=default.target
"""


def add_service(parser: Parser) -> None:
    parser.add_argument("what", choices=("print", "install"), help="show the unit, or write and enable it")
    parser.examples("outlast service print", "outlast service install && loginctl enable-linger")


def service(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace)
    if arguments.what == "print":
        sys.stdout.write(unit(workspace))
        return OK
    _install(workspace)
    return OK


def unit(workspace: Workspace) -> str:
    words = [sys.executable, "-m", "outlast", "--workspace", workspace.root, "up"]
    return UNIT.format(root=workspace.root.replace("%", "%%"), command=" ".join(map(_quoted, words)))


def unit_path(workspace: Workspace) -> str:
    """Named after the folder, and unlike that of another folder of the same name."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(workspace.root)).strip("-.") or "root"
    digest = f"{zlib.crc32(os.fsencode(workspace.root)):08x}"
    return os.path.join(config, "systemd", "user", f"outlast-{stem}-{digest}.service")


def _install(workspace: Workspace) -> None:
    path = unit_path(workspace)
    if shutil.which("systemctl") is None or not os.path.isdir("/run/systemd/system"):
        raise RefusedError(
            "there is no systemd here, so no service was installed; start `outlast up --guard` at boot instead "
            "(cron: @reboot), in " + workspace.root
        )
    files.make_directory(os.path.dirname(path))
    files.replace_bytes(path, unit(workspace).encode())
    _systemctl("daemon-reload", path)
    _systemctl("enable", path)
    _systemctl("restart", path)
    print(f"outlast: {path} is installed and started", file=sys.stderr)
    if not os.path.exists(os.path.join("/var/lib/systemd/linger", os.environ.get("USER", ""))):
        print("outlast: run `loginctl enable-linger` too, or it ends when you log out", file=sys.stderr)


def _systemctl(verb: str, path: str) -> None:
    words = ["systemctl", "--user", verb, *([] if verb == "daemon-reload" else [os.path.basename(path)])]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=SYSTEMCTL_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorldError(f"{' '.join(words)}: {error}; the unit lies in {path}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit {done.returncode}"
        raise RefusedError(
            f"{' '.join(words)}: {said}; the unit lies in {path}: enable it where your systemd runs"
        )


def _quoted(word: str) -> str:
    """By systemd.service(5): quotes, and % doubled, $ doubled."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if re.search(r"[^A-Za-z0-9_./@%+=:,-]", word) else word
