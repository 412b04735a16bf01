import socket
from typing import Any

from outlast.runner import surroundings


def order(**more: Any) -> dict[str, Any]:
    attempt = {"run": "r-1", "n": 2}
    return {"attempt": attempt, "argv": ["train", "--from={checkpoint}"], "env": [], "resume": None, **more}


def environment(caller: dict[str, str], checkpoint: str | None = None, **more: Any) -> dict[str, str]:
    step = None if checkpoint is None else 5
    return surroundings.environment(
        caller, order(**more), attempt_dir="/a", run_dir="/r", heartbeat="/h", resume=(checkpoint, step)
    )


RESUME = {"root": "/c", "args": ["--resume", "{checkpoint}", "--at={checkpoint}"]}


def test_words_for_resuming_are_appended_only_with_a_checkpoint() -> None:
    assert surroundings.argv(order(resume=RESUME), None) == ["train", "--from="]
    assert surroundings.argv(order(resume=RESUME), "/c/5") == [
        "train",
        "--from=/c/5",
        "--resume",
        "/c/5",
        "--at=/c/5",
    ]


def test_the_order_does_not_change_by_being_used() -> None:
    given = order(resume=RESUME)
    surroundings.argv(given, "/c/5")
    assert given == order(resume=RESUME)


def test_from_scratch_is_said_by_empty_words() -> None:
    env = environment({})
    assert (env["OUTLAST_RESUME_FROM"], env["OUTLAST_RESUME_STEP"], env["OUTLAST_TARGET_STEP"]) == (
        "",
        "",
        "",
    )


def test_nobody_can_pass_for_another_attempt_through_the_callers_environment() -> None:
    env = environment(
        {"OUTLAST_ATTEMPT_DIR": "/another", "OUTLAST_RUN_ID": "x"}, env=[["OUTLAST_ATTEMPT", "9"]]
    )
    assert (env["OUTLAST_ATTEMPT_DIR"], env["OUTLAST_RUN_ID"], env["OUTLAST_ATTEMPT"]) == ("/a", "r-1", "2")


def test_what_a_person_set_otherwise_stays() -> None:
    wanted = {
        "WANDB_RUN_ID": "mine",
        "PYTHONFAULTHANDLER": "",
        "MASTER_PORT": "1",
        "TORCHELASTIC_ERROR_FILE": "/e",
    }
    assert wanted.items() <= environment(wanted).items()


def test_the_free_port_can_be_bound() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", int(surroundings.free_port())))
