"""`python -m tests.simulate SEED`: one life, told; `python -m tests.simulate FROM TO`: many, counted."""

import sys
import time
from collections import Counter

from tests.simulate.life import Died, live


def main(words: list[str]) -> int:
    if len(words) == 1:
        try:
            lived = live(int(words[0]))
        except Died as died:
            print("\n".join([*died.log, str(died)]))
            return 1
        print("\n".join([*lived.log, f"seed {lived.seed}: {dict(lived.outcomes)}, {lived.events} events"]))
        return 0
    began, total, bad = time.monotonic(), Counter[str](), 0
    for seed in range(int(words[0]), int(words[1])):
        try:
            lived = live(seed)
        except Died as died:
            bad += 1
            print(died, flush=True)
            continue
        total["lives"] += 1
        for name in ("events", "terms", "writes", "attempts"):
            total[name] += getattr(lived, name)
        total.update({str(outcome): count for outcome, count in lived.outcomes.items()})
    print(f"{dict(total)}, {bad} broken, {time.monotonic() - began:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
