from msgspec.structs import replace

from outlast.decide.orders import order
from outlast.facts import AttemptId, Resume
from tests.unit.decide.values import RUN, SPEC

WHOLE = replace(
    SPEC,
    argv=("train", "--id={run_id}", "--try", "{attempt}", "{run_dir}/x", "{checkpoint}", "{other}"),
    env=(("NAME", "{run_id}-{attempt}"), ("PLAIN", "{}")),
    resume=Resume("{run_dir}/{run_id}", "folder", ("--from", "{checkpoint}", "--try={attempt}")),
    target_step=1000,
    stall_limits_s=(("", 60.0),),
    stop_grace_s=5.0,
    stop_limit_s=50.0,
    log_bytes_max=1000,
    done_when="file:{run_dir}/{attempt}",
    tty=True,
    place="host-a",
    backend="elsewhere",
    options=(("k", "v"),),
)


def test_an_order_says_all_that_the_specification_says() -> None:
    made = order(WHOLE, 3, 8, 12.5)
    assert (made.attempt, made.term, made.timeout_s) == (AttemptId(RUN, 3), 8, 12.5)
    for name in (
        "cwd", "target_step", "stall_limits_s", "stop_grace_s", "stop_limit_s", "log_bytes_max", "tty", "place",
        "backend", "options",
    ):  # fmt: skip
        assert getattr(made, name) == getattr(WHOLE, name), name


def test_the_runs_words_are_filled_in_and_those_of_the_disk_are_left() -> None:
    made = order(WHOLE, 3, 8, None)
    assert made.argv == ("train", f"--id={RUN}", "--try", "3", "{run_dir}/x", "{checkpoint}", "{other}")
    assert made.env == (("NAME", f"{RUN}-3"), ("PLAIN", "{}"))
    assert made.done_when == "file:{run_dir}/3"
    assert made.resume == Resume("{run_dir}/" + RUN, "folder", ("--from", "{checkpoint}", "--try=3"))
    assert made.timeout_s is None


def test_a_run_that_names_no_checkpoints_is_ordered_none() -> None:
    made = order(SPEC, 1, 1, None)
    assert made.resume is None
    assert made.argv == SPEC.argv
    assert (made.ready, made.supervisor) == ((), ())
