#!/usr/bin/python3
"""The scenarios of `make overload` in virtual time: goodput of a law over that of the true limit set by hand.

Each is `tornello rehearse` with the configuration that its leg has in the bench. It takes seconds, not
minutes, and no quiet machine, so that many seeds can be told apart from chance; live figures are
`make overload`'s. Sessions and fairness (11 and 12) are not played, and drift (2) is the short one.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile

import legs
import scenarios

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAWS = ("knee", "gradient2", "vegas", "aimd", "fixed")
ORACLE = "fixed"
# Ports of configurations: nothing listens.
PORTS = (8080, 9000, 9001)


def numbers(words):
    """Seeds as in `1 2 7..12`."""
    seeds = []
    for word in words:
        first, _, last = word.partition("..")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def between(series, begin, end):
    """How many were done between two moments, from counts that only grow."""
    done = lambda moment: max((one["completed"] for one in series if one["at_s"] <= moment), default=0)
    return done(end) - done(begin)


def write(folder, scenario, law):
    """The scenario and the configuration, as files."""
    files = f"{folder}/{scenario.key}.toml", f"{folder}/{scenario.key}-{law}.toml"
    for file, text in zip(files, (scenario.toml(), legs.tornello(law, scenario, folder, PORTS)[0])):
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
    return files


def play(program, files, scenario, seed):
    """How many were done in what is counted of the scenario."""
    command = [program, "rehearse", files[0], "--config", files[1], "--level", "request", "--more", "0"]
    command += ["--seed", str(seed), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{scenario.key} seed {seed}: {done.stderr.strip()}")
    return between(json.loads(done.stdout)["with"]["series"], *scenario.window)


def chosen(keys):
    short = {one.key: one for one in scenarios.all_of_them(True)}
    every = [short.get(one.key, one) for one in scenarios.all_of_them(False) if one.judged == "requests"]
    unknown = set(keys or []) - {one.key for one in every}
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))} among {' '.join(one.key for one in every)}")
    return [one for one in every if not keys or one.key in keys]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--scenario", nargs="+", help="only these")
    parser.add_argument("--law", default="knee", choices=LAWS)
    parser.add_argument("--seeds", nargs="+", default=["1..12"], help="as 1 2 7..12; default: 1..12")
    parser.add_argument("--program", default=f"{ROOT}/target/release/tornello")
    options = parser.parse_args()
    seeds, means = numbers(options.seeds), []
    with tempfile.TemporaryDirectory(prefix="rehearsed-") as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for scenario in chosen(options.scenario):
            # All files first: whoever plays reads them at once.
            played = [write(folder, scenario, law) for law in (options.law, ORACLE)]
            runs = [[pool.submit(play, options.program, files, scenario, seed) for seed in seeds] for files in played]
            law, oracle = ([run.result() for run in all_seeds] for all_seeds in runs)
            shares = sorted(100 * did / max(1, can) for did, can in zip(law, oracle))
            means.append(statistics.mean(shares))
            enough = sum(share >= 95 for share in shares)
            print(f"{scenario.key:>3} mean {means[-1]:5.1f}  sd {statistics.pstdev(shares):4.1f}  worst {shares[0]:5.1f}  "
                  f"at least 95 in {enough} of {len(shares)}  {scenario.title}", flush=True)
    print(f"mean of the means {statistics.mean(means):.1f}, worst of them {min(means):.1f}")


if __name__ == "__main__":
    main()
