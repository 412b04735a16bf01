"""What a runner is told: the order of attempt n, from the run's specification alone.

Knows the words that a command may hold. Refuses to know paths: `{run_dir}`, `{checkpoint}` and the commands of our
own programs are filled in where they are known.
"""

from msgspec.structs import replace

from outlast.facts import AttemptId, Order, Resume, Spec


def order(spec: Spec, n: int, term: int, timeout_left_s: float | None) -> Order:
    words = {"{run_id}": str(spec.run), "{attempt}": str(n)}
    return Order(
        attempt=AttemptId(spec.run, n),
        term=term,
        argv=tuple(_filled(word, words) for word in spec.argv),
        cwd=spec.cwd,
        env=tuple((name, _filled(value, words)) for name, value in spec.env),
        resume=_resume(spec.resume, words),
        target_step=spec.target_step,
        stall_limits_s=spec.stall_limits_s,
        stop_grace_s=spec.stop_grace_s,
        log_bytes_max=spec.log_bytes_max,
        stop_limit_s=spec.stop_limit_s,
        timeout_s=timeout_left_s,
        done_when=_filled(spec.done_when, words),
        tty=spec.tty,
        place=spec.place,
        backend=spec.backend,
        retention=spec.retention,
        pins=spec.pins,
        options=spec.options,
    )


def _resume(resume: Resume | None, words: dict[str, str]) -> Resume | None:
    if resume is None:
        return None
    args = tuple(_filled(word, words) for word in resume.args)
    return replace(resume, root=_filled(resume.root, words), args=args)


def _filled(word: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(name, value)
    return word
