"""Begins an attempt whose claim we have just made: resume check, child at the gate, started.json, "go".

No instruction of the training runs before started.json is durable. Knows the order of these deeds. Refuses to know
what is watched for afterwards.
"""

from __future__ import annotations

import os

from outlast.disk import clock, files, identity
from outlast.errors import WorldError
from outlast.runner import cgroup, ending, evidence, kernel, ranks, reading, resume, spawn, surroundings
from outlast.runner.spawn import Gate, Plan
from outlast.runner.tree import Tree
from outlast.runner.watch import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.disk.identity import Identity
    from outlast.runner.post import Post
    from outlast.runner.resume import Choice

SCHEMA = 1


def begin(post: Post, umask: int) -> None:
    """From the claim to the record of the end. Raises WorldError: another made started.json, and watches."""
    oom = evidence.OomCount()
    reaps = kernel.be_subreaper()
    try:
        choice = resume.choose(post.order, post.ears, post.words, post.is_called_off)
        heartbeat = ranks.make_folder(post.folder.path)
        if not heartbeat:
            post.words.say("no exact progress: no folder for it can be had in this node's memory")
        plan, terminal = _plan(post, choice, heartbeat, umask)
        gate = spawn.fork(plan)
    except (resume.Refusal, WorldError, OSError) as error:
        _call_off(post, _why(error))
        return
    for fd in (plan.lease, plan.log, plan.terminal):
        if fd is not None:
            os.close(fd)  # from now on the locks are the training's alone
    child = identity.identity(gate.pid)
    started = _started(post, child, choice, plan, heartbeat)
    why = _announce(post, started)
    tree = Tree(post.folder, post.folder.path, child, ours=reaps, head_count=started["cgroup"])
    watch = post.watch(
        Subject(gate.pid, os.pidfd_open(gate.pid), started["at"]["mono_s"], terminal),
        tree,
        heartbeat,
        choice.step,
    )
    why = why or watch.reason_not_to_begin()
    if why:
        gate.close()
        os.waitpid(gate.pid, 0)
        _call_off(post, why)
        return
    watch.since_now()
    gate.open()
    watch.until_ended()
    _end(post, gate, watch, started, oom)


def _end(post: Post, gate: Gate, watch: Any, started: dict[str, Any], oom: evidence.OomCount) -> None:
    post.note_end(ending.of_waitable(gate.pid))
    swept = watch.sweep()
    _, status, usage = os.wait4(gate.pid, 0)
    complaint = gate.complaint()
    end = ending.never_began(f"spawn failed: {complaint}") if complaint else ending.of_status(status)
    oom_kills = oom.rose_by()
    if oom_kills:
        watch.judge.hints.append(f"oom_kill rose by {oom_kills}")
    post.end(end, watch, started, swept=swept, oom_kills=oom_kills, **evidence.cost(usage))


def _plan(post: Post, choice: Choice, heartbeat: str, umask: int) -> tuple[Plan, int | None]:
    """What the child will be, and our end of its terminal. Raises WorldError, OSError."""
    order, folder = post.order, post.folder
    caller = files.read(folder.run().env)
    if caller is None:
        raise WorldError(f"{folder.run().env}: the environment of this run is missing")
    env = surroundings.environment(
        caller["env"],
        order,
        attempt_dir=folder.path,
        run_dir=folder.run().path,
        heartbeat=heartbeat,
        resume=(choice.checkpoint, choice.step),
    )
    ours, theirs = spawn.open_terminal() if order.get("tty") else (None, None)
    lease, log = files.open_lock(folder.lease), files.open_append(folder.output)
    if not files.try_lock_patiently(lease) or (theirs is None and not files.try_lock_patiently(log)):
        raise WorldError(f"{folder.path}: somebody holds the lease or the log of an attempt that never began")
    plan = Plan(
        surroundings.argv(order, choice.checkpoint),
        env,
        order["cwd"],
        lease=lease,
        log=log,
        umask=_umask(order, umask),
        terminal=theirs,
    )
    return plan, ours


def _started(post: Post, child: Identity, choice: Choice, plan: Plan, heartbeat: str) -> dict[str, Any]:
    done_file = reading.declared_file(post.order.get("done_when") or "", plan.cwd)
    return {
        "schema": SCHEMA,
        "child": child,
        "session": child["pid"],
        "cgroup": cgroup.plan(ranks.name_of(post.folder.path)),
        "resumed_from": choice.checkpoint,
        "resumed_step": choice.step,
        "resume_reasons": choice.reasons,
        "argv": plan.argv,
        "heartbeat": heartbeat,
        "runner": identity.identity(),
        "at": clock.moment(),
        "attempt_dir": post.folder.path,  # as the training's environment spells it
        "done_file": reading.signature(done_file) if done_file is not None else None,
    }


def _announce(post: Post, started: dict[str, Any]) -> str:
    """Make started.json; why that failed, "" if it stands and is ours."""
    try:
        made = files.make_once(post.folder.started, started)
    except WorldError as error:
        return str(error)
    return "" if made.ours else f"{post.folder.started} stood already, made by another"


def _call_off(post: Post, why: str) -> None:
    if post.is_called_off():
        why = f"shut before the start: told to {post.stopping.told} ({post.stopping.by})"
    post.end_never_began(why)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"spawn failed: {error.strerror or error}"
    return str(error)


def _umask(order: dict[str, Any], inherited: int) -> int:
    """The caller's, if the order knows it."""
    for name, value in order.get("options") or ():
        if name == "umask":
            return int(value, 8)
    return inherited
