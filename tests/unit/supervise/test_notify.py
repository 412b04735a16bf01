"""What systemd is told, and that nobody else ever notices."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.supervise import notify


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ear


def test_systemd_hears_that_we_are_ready_alive_and_stopping(systemd: socket.socket) -> None:
    for say in (notify.ready, notify.alive, notify.stopping):
        say()
    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_socket_without_a_file_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0outlast-test-notify")
        ear.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", "@outlast-test-notify")
        notify.ready()
        assert ear.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", [None, "", "/nowhere/notify"])
def test_where_nobody_listens_nothing_happens(monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if path is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify.ready()
    notify.alive()


def test_a_listener_that_never_reads_holds_nobody_up(systemd: socket.socket) -> None:
    systemd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(1000):
        notify.alive()


@pytest.mark.parametrize(
    ("period_us", "pause_s"),
    [("30000000", 10.0), ("", float("inf")), ("0", float("inf")), ("x", float("inf"))],
)
def test_the_watchdog_hears_from_us_three_times_in_its_period(
    monkeypatch: pytest.MonkeyPatch, period_us: str, pause_s: float
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", period_us)
    assert notify.pause_s() == pause_s
