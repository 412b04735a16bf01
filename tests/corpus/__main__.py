"""`python -m tests.corpus`: how long each hang of the corpus takes to be declared, and under which limit."""

from outlast.runner.replay import play
from tests.corpus.hangs import Hang, all_of_them

HEAD = f"{'declared after':>14}  {'limit':>9}  hang"


def row(hang: Hang, declared_s: float | None, limit_s: float) -> str:
    after = "never" if declared_s is None else f"{declared_s - hang.since_s - hang.given_back_s:.1f} s"
    return f"{after:>14}  {limit_s:>7.0f} s  {hang.name}"


def main() -> None:
    print(HEAD)
    for hang in all_of_them():
        answer = play(hang.timeline)
        print(row(hang, answer.declared_s, answer.stall.limit_s if answer.stall else float("nan")))


if __name__ == "__main__":
    main()
