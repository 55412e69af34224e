#!/usr/bin/python3
"""Whether a rehearsal can be believed: `tornello rehearse` against `tornello rush`, the same days.

For each seed, the small forms take turns: each day is played live with the gateway, then in virtual
time by the same program and the same seed. What is compared are the people served and the time from
the intended arrival to the goal, its median and its 99th percentile. A figure of a day is the median
over the seeds; the bound holds for the ratio of those two medians, rehearsed over live. Beside it
stands the geometric mean of the ratios by seed with its standard error: a bound narrower than that
is held or missed by luck, and takes more --seeds. What each seed gave stands below, with what else
tells a lame live leg from a good one.

A live leg needs a quiet machine: --under puts a command before each (`taskset -c 0,1`, a lock).
--keep keeps the live legs in a folder, where a second run finds them: then only the rehearsal is
played again.

Run by `make fidelity`. Exits with 1 if a bound is missed.
"""

import argparse
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What is compared, how it is shown, and by how much the ratio may differ from 1.
ROWS = [
    ("people served", "completed", "{:.0f}", 0.02),
    ("median wait", "goal_p50_s", "{:.2f} s", 0.10),
    ("p99 wait", "goal_p99_s", "{:.2f} s", 0.20),
]


def played(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode} and without a report")


def live(arguments, day, seed, folder):
    file = os.path.join(folder, f"{day}-{seed}.json")
    if not os.path.exists(file):
        command = [arguments.program, "rush", day, "--only", "with", "--seed", str(seed), "--json"]
        report = played(shlex.split(arguments.under) + command)
        with open(file, "w", encoding="utf-8") as out:
            json.dump(report, out)
    with open(file, encoding="utf-8") as kept:
        return json.load(kept)["with"]


def rehearsed(arguments, day, seed):
    command = [arguments.program, "rehearse", day, "--more", "0", "--seed", str(seed), "--json"]
    return played(command)["with"]


def limit(leg):
    """Median of the limit while people waited."""
    limits = [tick["limit"] for tick in leg["series"] if tick.get("limit") and tick["waiting"]]
    return statistics.median(limits) if limits else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/tornello"))
    parser.add_argument("--days", nargs="+", default=["s-cb", "s-bb", "s-in"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--under", default="", help="command before each live leg")
    parser.add_argument("--keep", help="folder for the live legs")
    arguments = parser.parse_args()
    found = {day: [] for day in arguments.days}
    with tempfile.TemporaryDirectory() as fresh:
        folder = arguments.keep or fresh
        os.makedirs(folder, exist_ok=True)
        for seed in arguments.seeds:
            for day in arguments.days:
                pair = (live(arguments, day, seed, folder), rehearsed(arguments, day, seed))
                found[day].append((seed, pair))
                ratios = ", ".join(f"{name} {pair[1][key] / pair[0][key]:.3f}" for name, key, *_ in ROWS)
                print(f"{day} seed {seed}: {ratios}", file=sys.stderr, flush=True)
    missed = table(found)
    details(found)
    sys.exit(1 if missed else 0)


def by_seed(legs, key):
    """Geometric mean of rehearsed over live, and its relative standard error."""
    logs = [math.log(virtual[key] / real[key]) for _, (real, virtual) in legs]
    error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    return math.exp(statistics.mean(logs)), error


def table(found):
    print(f"\n{'day':<6} {'figure':<14} {'live':>10} {'rehearsed':>10} {'ratio':>7} {'by seed':>14}   bound")
    missed = 0
    for day, legs in found.items():
        for name, key, form, bound in ROWS:
            real, virtual = (statistics.median(pair[side][key] for _, pair in legs) for side in (0, 1))
            ratio = virtual / real
            holds = abs(ratio - 1) <= bound
            mean, error = by_seed(legs, key)
            missed += not holds
            print(
                f"{day:<6} {name:<14} {form.format(real):>10} {form.format(virtual):>10} {ratio:>7.3f} {mean:>6.3f} ± {error:.3f}   "
                f"± {bound * 100:.0f} % {'holds' if holds else 'MISSED'}"
            )
    return missed


def details(found):
    print("\nper seed, live and rehearsed: served, median wait, p99 wait, worker time used, median limit")
    for day, legs in found.items():
        for seed, pair in legs:
            sides = (
                f"{leg['completed']} {leg['goal_p50_s']:.2f} {leg['goal_p99_s']:.2f} "
                f"{leg['goodput'] or 0:.3f} {limit(leg):.0f}"
                for leg in pair
            )
            print(f"{day} {seed}: {' | '.join(sides)}")


if __name__ == "__main__":
    main()
