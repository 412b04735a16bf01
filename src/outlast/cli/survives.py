"""What a run started here survives, in one line, before it starts.

Knows where lingering, a unit of ours and a user's systemd show. Refuses to promise what it cannot see.
"""

import os
import pwd

from outlast.cli.service import unit_path
from outlast.disk.layout import Workspace
from outlast.facts import Spec

LINGER = "/var/lib/systemd/linger"
LOGIND = "/etc/systemd/logind.conf"


def line(workspace: Workspace, spec: Spec, *, by_itself: bool) -> str:
    """`by_itself`: the script seems to use the SDK or a callback."""
    parts = [
        "terminal yes",
        "logout yes" if survives_logout() else "logout no (loginctl enable-linger)",
        "reboot yes" if survives_reboot(workspace) else "reboot no (outlast service install)",
        f"resume from checkpoint {_resumes(spec, by_itself)}",
    ]
    if spec.inline:
        parts[1:3] = ["end of this allocation or container no (it is resumable from the checkpoint)"]
    return "survives: " + " · ".join(parts)


def survives_logout() -> bool:
    """Without a user's systemd nothing ends with the session, unless logind is told to kill what is left."""
    if os.path.exists(os.path.join(LINGER, _user())):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.exists(os.path.join(runtime, "systemd", "private")):
        return (
            False  # the supervisor lives in a scope of the user's systemd, which ends with the last session
        )
    return not _kills_user_processes()


def survives_reboot(workspace: Workspace) -> bool:
    enabled = os.path.join(os.path.dirname(unit_path(workspace)), "default.target.wants")
    unit = os.path.basename(unit_path(workspace))
    return os.path.lexists(os.path.join(enabled, unit)) and os.path.exists(os.path.join(LINGER, _user()))


def _resumes(spec: Spec, by_itself: bool) -> str:
    if spec.resume is not None and (spec.resume.args or any("{checkpoint}" in word for word in spec.argv)):
        return "yes"
    if by_itself:
        return "yes, by the script itself (it mentions outlast)"
    return "no: restarts begin at step 0 unless the script resumes itself"


def _kills_user_processes() -> bool:
    try:
        with open(LOGIND, encoding="utf-8", errors="replace") as file:
            text = file.read().lower()
    except OSError:
        return False
    lines = [line.replace(" ", "") for line in text.splitlines()]
    return any(
        line in ("killuserprocesses=yes", "killuserprocesses=true", "killuserprocesses=1") for line in lines
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
