"""What people report a training's step with today, each as it is used: one call a step, nothing else.

Every peer that is installed here is measured, the others are named. Written for the versions of the day in
benchmarks/README.md; a peer that no longer starts is reported with its error, not skipped in silence.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from itertools import count, islice, repeat
from pathlib import Path
from typing import Any

Call = Callable[[int], None]
Make = Callable[[Path, ExitStack], Call]


def of_the_day(stack: ExitStack, peers: Mapping[str, Make]) -> tuple[dict[str, Call], list[str]]:
    """{name: so many calls}, and a line for each that cannot be measured here. `stack` ends them."""
    found: dict[str, Call] = {}
    missing = []
    folder = stack.enter_context(
        tempfile.TemporaryDirectory(prefix="outlast-bench-", ignore_cleanup_errors=True)
    )
    for name, make in peers.items():
        try:
            with redirect_stdout(io.StringIO()), _muted(2):
                found[name] = make(Path(folder) / name.split()[0].split(".")[0], stack)
        except ImportError as error:
            missing.append(f"{name}: not installed ({error})")
        except Exception as error:  # noqa: BLE001 - whatever a peer does at its start, the others are measured
            missing.append(f"{name}: did not start: {type(error).__name__}: {error}")
    return found, missing


def _tqdm(folder: Path, stack: ExitStack) -> Call:
    bar = import_module("tqdm").tqdm(total=10**9, file=io.StringIO())

    def updates(calls: int) -> None:
        for _ in repeat(None, calls):
            bar.update(1)

    return updates


def _prometheus(folder: Path, stack: ExitStack) -> Call:
    prometheus = import_module("prometheus_client")
    gauge = prometheus.Gauge("loss", "loss", registry=prometheus.CollectorRegistry())

    def sets(calls: int) -> None:
        for _ in repeat(None, calls):
            gauge.set(0.5)

    return sets


def _logging(folder: Path, stack: ExitStack) -> Call:
    folder.mkdir()
    logger = logging.getLogger("outlast-bench")
    handler = logging.FileHandler(folder / "log")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    stack.callback(handler.close)

    def infos(calls: int) -> None:
        for _ in repeat(None, calls):
            logger.info("step %d loss %f", 7, 0.5)

    return infos


def _tensorboard(module: str) -> Make:
    def make(folder: Path, stack: ExitStack) -> Call:
        writer = import_module(module).SummaryWriter(str(folder) + module)
        stack.callback(writer.close)
        numbers = count()

        def scalars(calls: int) -> None:
            for number in islice(numbers, calls):
                writer.add_scalar("loss", 0.5, number)

        return scalars

    return make


def _wandb(folder: Path, stack: ExitStack) -> Call:
    wandb = import_module("wandb")
    folder.mkdir()
    run = wandb.init(mode="offline", dir=str(folder), settings=wandb.Settings(silent=True, console="off"))
    stack.callback(_quietly, run.finish)

    def logs(calls: int) -> None:
        for _ in repeat(None, calls):
            run.log({"loss": 0.5})

    return logs


def _mlflow(folder: Path, stack: ExitStack) -> Call:
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = import_module("mlflow")
    mlflow.set_tracking_uri(folder.as_uri())
    mlflow.start_run()
    stack.callback(_quietly, mlflow.end_run)
    numbers = count()

    def logs(calls: int) -> None:
        for number in islice(numbers, calls):
            mlflow.log_metric("loss", 0.5, step=number)

    return logs


def _nvidia(folder: Path, stack: ExitStack) -> Call:
    """The heartbeat of one rank to its monitor process, over a Unix socket in a folder with a short name."""
    package = "nvidia_resiliency_ext.fault_tolerance"
    server = import_module(f"{package}.rank_monitor_server").RankMonitorServer
    config = import_module(f"{package}.config").FaultToleranceConfig()
    client_module, data = import_module(f"{package}.rank_monitor_client"), import_module(f"{package}.data")
    socket = str(folder.parent / "s")
    os.environ |= {
        data.FT_RANK_MONITOR_IPC_SOCKET_ENV_VAR: socket,
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
    }
    spawn: Any = import_module("torch.multiprocessing").get_context("spawn")
    monitor = server.run_in_subprocess(config, socket, mp_ctx=spawn)
    stack.callback(monitor.kill)
    client = client_module.RankMonitorClient()
    client.init_workload_monitoring()
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        del os.environ[name]

    def beats(calls: int) -> None:
        for _ in repeat(None, calls):
            client.send_heartbeat()

    return beats


@contextmanager
def _muted(fd: int) -> Iterator[None]:
    """For child processes, too, which keep the mute for life."""
    before, nothing = os.dup(fd), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, fd)
    try:
        yield
    finally:
        os.dup2(before, fd)
        os.close(before)
        os.close(nothing)


def _quietly(work: Callable[[], object]) -> None:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        work()


QUIET: dict[str, Make] = {
    "tqdm.update(1)": _tqdm,
    "prometheus_client Gauge.set": _prometheus,
    "logging to a file": _logging,
}
NOISY: dict[str, Make] = {
    "TensorBoard add_scalar": _tensorboard("torch.utils.tensorboard"),
    "tensorboardX add_scalar": _tensorboard("tensorboardX"),
    "wandb offline log": _wandb,
    "mlflow log_metric (files)": _mlflow,
    "nvidia-resiliency-ext heartbeat": _nvidia,
}
