"""Tells systemd, where it asked for it, that we are ready, alive and stopping (sd_notify(3))."""

import contextlib
import os
import socket


def ready() -> None:
    _send(b"READY=1")


def alive() -> None:
    _send(b"WATCHDOG=1")


def stopping() -> None:
    _send(b"STOPPING=1")


def pause_s() -> float:
    """The longest sleep that systemd's watchdog allows, infinite without one."""
    period_us = os.environ.get("WATCHDOG_USEC", "")
    return int(period_us) / 3e6 if period_us.isdigit() and int(period_us) else float("inf")


def _send(message: bytes) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    kind = (
        socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )  # a listener that is stuck stops nobody
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as to:
        to.connect(address)
        to.send(message)
