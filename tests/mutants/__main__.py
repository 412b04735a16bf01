"""`python -m tests.mutants [--list] [--jobs N] [NAME...]`: plant each bug, say which tests saw it; 1 if one lives."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from tests.mutants.plant import Mutant, Result, plant
from tests.mutants.registry import MUTANTS


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (a part of the name will do)")
    parser.add_argument("--list", action="store_true", help="print the bugs and their tests, plant nothing")
    parser.add_argument("--jobs", type=int, default=2, help="so many at a time (default: 2)")
    given = parser.parse_args(words)
    chosen = [each for each in MUTANTS if not given.names or any(name in each.name for name in given.names)]
    if not chosen:
        parser.error(f"no planted bug is named {' or '.join(given.names)}; --list shows them")
    if given.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.says}", *(f"\n    {test}" for test in mutant.tests))
        return 0
    with ThreadPoolExecutor(given.jobs) as pool:
        alive = list(chain(*map(_told, chosen, pool.map(plant, chosen))))
    print(
        f"{len(chosen) - len(set(alive))} of {len(chosen)} planted bugs were caught by every test that should"
    )
    for name in dict.fromkeys(alive):
        print(f"NOT CAUGHT: {name}")
    return 1 if alive else 0


def _told(mutant: Mutant, results: list[Result]) -> list[str]:
    print(f"{mutant.name}: {mutant.says}")
    for result in results:
        print(f"    {result.answer:12} {result.test}\n                 {result.words}")
    sys.stdout.flush()
    return [mutant.name for result in results if result.answer != "caught"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
