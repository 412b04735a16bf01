"""Where everything lies: names that other programs, other versions and people rely on."""

import pytest

from outlast.disk.layout import ATTEMPT, RUN_ID, AttemptFolder, Workspace

WORKSPACE = Workspace("/srv/space")
RUN = WORKSPACE.run("demo-20260102-030405")
ATTEMPT_3 = RUN.attempt(3)


def test_the_paths_of_a_workspace_are_those_that_the_interface_promises() -> None:
    place = WORKSPACE.place("local")
    told = [
        WORKSPACE.config,
        place.journal,
        place.request(42),
        place.lock,
        place.board,
        place.supervisor,
        RUN.record,
        RUN.env,
        RUN.snapshot,
        RUN.words,
        RUN.history,
        ATTEMPT_3.order(7),
        ATTEMPT_3.claim,
        ATTEMPT_3.started,
        ATTEMPT_3.wish,
        ATTEMPT_3.progress,
        ATTEMPT_3.output,
        ATTEMPT_3.exit,
    ]
    hidden, attempt = "/srv/space/.outlast", "runs/demo-20260102-030405/attempts/0003"
    assert told == [
        "/srv/space/outlast.yaml",
        f"{hidden}/places/local/journal",
        f"{hidden}/places/local/requests/00000042.json",
        f"{hidden}/places/local/lock",
        f"{hidden}/places/local/board.json",
        f"{hidden}/places/local/supervisor.json",
        f"{hidden}/runs/demo-20260102-030405/run.json",
        f"{hidden}/runs/demo-20260102-030405/env",
        f"{hidden}/runs/demo-20260102-030405/snapshot.json",
        f"{hidden}/runs/demo-20260102-030405/PROGRESS.txt",
        f"{hidden}/runs/demo-20260102-030405/history.jsonl",
        f"{hidden}/{attempt}/order.7.json",
        f"{hidden}/{attempt}/claim",
        f"{hidden}/{attempt}/started.json",
        f"{hidden}/{attempt}/wish.json",
        f"{hidden}/{attempt}/progress.json",
        f"{hidden}/{attempt}/output.log",
        f"{hidden}/{attempt}/exit.json",
    ]


def test_a_relative_workspace_is_made_absolute_because_no_child_shares_our_folder() -> None:
    assert Workspace("here").hidden.startswith("/")


@pytest.mark.parametrize("n", [1, 2, 9999, 10_000, 123_456])
def test_the_chain_of_attempts_can_be_walked_in_both_directions(n: int) -> None:
    folder = RUN.attempt(n)
    assert folder.n == n
    assert folder.next().n == n + 1
    assert folder.run().path == RUN.path
    before = folder.next().before()
    assert before is not None
    assert before.path == folder.path
    assert AttemptFolder(folder.path).claim == folder.claim


def test_nothing_is_before_the_first_attempt() -> None:
    assert RUN.attempt(1).before() is None


@pytest.mark.parametrize("name", ["demo-20260102-030405", "a.b_c-20260102-030405-2", "x-20260102-030405-zz9"])
def test_an_id_that_we_make_is_an_id(name: str) -> None:
    assert RUN_ID.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["../x-20260102-030405", ".x-20260102-030405", "a/b-20260102-030405", "demo", ""]
)
def test_what_could_lead_out_of_the_folder_is_no_id(name: str) -> None:
    assert not RUN_ID.fullmatch(name)


def test_a_folder_of_an_attempt_is_a_number_of_four_digits_or_more() -> None:
    assert [name for name in ("0001", "12345", "1", "tmp1", "00x1") if ATTEMPT.fullmatch(name)] == [
        "0001",
        "12345",
    ]
