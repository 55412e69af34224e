"""One table of all that was measured, as Markdown and as JSON.

A cell is the goodput over the oracle's, in percent, and the 99th percentile of those let in, in
milliseconds, with `!` where it is above its bound; `~` where no oracle was played: then of what was possible; `?` where the machine was too busy. The median over the seeds, cell by cell.
"""

import statistics

from legs import LEGS, ORACLES, WAIT

# What the comparison is about: in the first ten, the mean and the worst; so much in so many of them.
GOALS = (0.95, 8), 0.85
# By how much the 99th percentile of those let in may exceed the uncongested one, before the queue's bound.
SLOWER = 1.5
# Above this the machine decides, not the proxy.
BUSY = 0.85
ADAPTIVE_PEERS = [leg.key for leg in LEGS if leg.adaptive and leg.key != "knee"]
QUEUES = {leg.key: leg.queues for leg in LEGS}


def middle(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def gathered(runs, scenarios):
    """Figures by scenario and leg: each the median over the seeds, goodput against the oracle of the
    same seed."""
    found = {}
    # What is kept with a run, and no figure.
    courses = ("back_s", "seconds", "in_flight")
    for scenario in scenarios:
        here = [run for run in runs if run["scenario"] == scenario.key]
        oracle = {}
        for run in here:
            if run["leg"] in ORACLES and run.get("figures"):
                oracle[run["seed"]] = max(oracle.get(run["seed"], 0), run["figures"]["good"])
        for run in here:
            cell = found.setdefault(scenario.key, {}).setdefault(run["leg"], {"runs": [], "failed": []})
            if not run.get("figures"):
                cell["failed"].append(run["failed"])
                continue
            figures = dict(run["figures"])
            best = oracle.get(run["seed"])
            figures["goodput"] = figures["good"] / best if best else None
            figures["back_max_s"] = slowest(figures.get("back_s"))
            told = {name: value for name, value in figures.items() if name not in courses[1:]}
            cell["runs"].append(told | {"seed": run["seed"], "busy": run["busy"]})
        for leg, cell in found.get(scenario.key, {}).items():
            if not cell["runs"]:
                continue
            names = {name for figures in cell["runs"] for name in figures} - {"seed", *courses}
            cell["median"] = {
                name: middle(figures.get(name) for figures in cell["runs"]) for name in sorted(names)
            }
            bound = 1000 * (SLOWER * scenario.calm_p99 + (WAIT if QUEUES[leg] else 0))
            cell["median"]["p99_bound_ms"] = round(bound)
    return found


def slowest(back):
    """The slowest return of all events; a minute stands for never."""
    return max((60 if one is None else one) for one in back) if back else None


def percent(value):
    return "–" if value is None else f"{100 * value:.0f}"


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(value):
    return "–" if value is None else "never" if value >= 60 else f"{value:.0f}"


def goodput(figures):
    p99, bound = figures.get("p99_ms"), figures["p99_bound_ms"]
    late = "" if p99 is None else f" ({p99}{'!' if p99 > bound else ''})"
    if figures.get("goodput") is None:
        # No oracle was played.
        return f"~{percent(figures.get('of_possible'))}{late}"
    return percent(figures["goodput"]) + late


# Rows besides goodput, by scenario: what they are called, and how a cell is shown.
OWN = {
    "1": [("refusal p99, ms", lambda figures: number(figures.get("refused_p99_ms"), 0))],
    "2": [("drift: in flight at the end over early", lambda figures: number(figures.get("drift")))],
    "3": [
        ("first 5 s, % of possible", lambda figures: percent(figures.get("first_5_s"))),
        ("s until 90 % of possible", lambda figures: seconds(figures.get("back_max_s"))),
    ],
    "4": [("s until 90 % of possible, slowest step", lambda figures: seconds(figures.get("back_max_s")))],
    "5": [("s until 90 % of possible", lambda figures: seconds(figures.get("back_max_s")))],
    "5b": [("s until 90 % of possible", lambda figures: seconds(figures.get("back_max_s")))],
    "7": [("s until 90 % of possible, slowest", lambda figures: seconds(figures.get("back_max_s")))],
    "8": [("s until 90 % of possible after it", lambda figures: seconds(figures.get("back_max_s")))],
    "8b": [("s until 90 % of possible after it", lambda figures: seconds(figures.get("back_max_s")))],
    "9": [
        ("s until 90 % after the trigger", lambda figures: seconds(figures.get("back_max_s"))),
        ("work for nobody, %", lambda figures: percent(figures.get("wasted"))),
    ],
    "11": [
        ("payers served, %", lambda figures: "–" if figures.get("payers_served") is None else f"{100 * figures['payers_served']:.1f}"),
        ("Jain over the users", lambda figures: number(figures.get("fair"))),
        ("users' requests served, %", lambda figures: percent(figures.get("users_served"))),
        ("greedy ones' requests served, %", lambda figures: percent(figures.get("greedy_served"))),
    ],
    "12": [
        ("reached the goal, %", lambda figures: percent(figures.get("completed"))),
        ("of those let in, %", lambda figures: percent(figures.get("let_in_completed"))),
        ("useful work over possible", lambda figures: number(figures.get("work"))),
        ("pairs served the other way round, %", lambda figures: percent(figures.get("inversions"))),
    ],
}


def is_compared(scenario):
    return scenario.judged == "requests"


def summary(found, scenarios):
    """For each leg the mean and the worst of goodput over the scenarios that count, where it has all."""
    sums = {}
    counted = [one.key for one in scenarios if is_compared(one)]
    for leg in (leg.key for leg in LEGS):
        cells = [found.get(key, {}).get(leg, {}).get("median", {}) for key in counted]
        shares = [cell.get("goodput") for cell in cells]
        if shares and None not in shares:
            late = sum((cell.get("p99_ms") or 0) > cell["p99_bound_ms"] for cell in cells)
            sums[leg] = {
                "mean": statistics.mean(shares),
                "worst": min(shares),
                "at_least_95": sum(share >= GOALS[0][0] for share in shares),
                "late": late,
                "of": len(shares),
            }
    return sums


def markdown(found, scenarios, legs):
    keys = [leg.key for leg in legs]
    lines = [f"| | {' | '.join(keys)} |", f"|---|{'---|' * len(keys)}"]

    def row(name, show, key):
        cells = []
        for leg in keys:
            cell = found.get(key, {}).get(leg)
            if cell is None:
                cells.append("not run")
            elif "median" not in cell:
                cells.append("failed")
            else:
                doubt = "?" if cell["median"]["busy"] > BUSY else ""
                cells.append(show(cell["median"]) + doubt)
        lines.append(f"| {name} | {' | '.join(cells)} |")

    for scenario in scenarios:
        if is_compared(scenario):
            row(f"**{scenario.key}** {scenario.title}", goodput, scenario.key)
        else:
            row(f"**{scenario.key}** {scenario.title}", lambda _: "", scenario.key)
        for name, show in OWN.get(scenario.key, []):
            row(f"— {name}", show, scenario.key)
    sums = summary(found, scenarios)
    for name, show in (
        ("**mean** goodput, %", lambda one: percent(one["mean"])),
        ("**worst** goodput, %", lambda one: percent(one["worst"])),
        ("rows of at least 95 %", lambda one: f"{one['at_least_95']} of {one['of']}"),
        ("rows above the bound of p99", lambda one: f"{one['late']} of {one['of']}"),
    ):
        cells = [show(sums[leg]) if leg in sums else "–" for leg in keys]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def words(found, scenarios):
    """What is won, lost, failed, and cannot be believed, in sentences."""
    lines = []
    for scenario in filter(is_compared, scenarios):
        cells = found.get(scenario.key, {})
        share = lambda leg: cells.get(leg, {}).get("median", {}).get("goodput")
        mine = share("knee")
        ahead = {leg: share(leg) for leg in ADAPTIVE_PEERS if share(leg) is not None}
        if mine is None or not ahead:
            continue
        best = max(ahead, key=ahead.get)
        if ahead[best] > mine + 0.005:
            lines.append(f"lost: {scenario.key}: {best} {percent(ahead[best])} %, knee {percent(mine)} %")
        mine = cells["knee"]["median"]
        if (mine.get("p99_ms") or 0) > mine["p99_bound_ms"]:
            lines.append(f"missed: {scenario.key}: p99 of those let in {mine['p99_ms']} ms, bound {mine['p99_bound_ms']} ms")
    sums = summary(found, scenarios)
    if "knee" in sums:
        (enough, rows), least = GOALS
        mine = sums["knee"]
        allowed = mine["of"] - 2 if mine["of"] > 2 else mine["of"]
        lines.append(
            f"{'met' if mine['at_least_95'] >= allowed else 'missed'}: at least {100 * enough:.0f} % in all but two rows: "
            f"{mine['at_least_95']} of {mine['of']}"
        )
        lines.append(f"{'met' if mine['worst'] >= least else 'missed'}: at least {100 * least:.0f} % in all: worst {percent(mine['worst'])} %")
        for what in ("mean", "worst"):
            better = [leg for leg in ADAPTIVE_PEERS if leg in sums and sums[leg][what] > mine[what]]
            told = ", ".join(f"{leg} {percent(sums[leg][what])} %" for leg in better)
            lines.append(f"{what} goodput: knee {percent(mine[what])} %, " + (f"behind {told}" if better else "ahead of every adaptive peer that has all rows"))
    for key, cells in found.items():
        for leg, cell in cells.items():
            lines += [f"failed: {key}, {leg}: {why}" for why in cell["failed"]]
    return lines
