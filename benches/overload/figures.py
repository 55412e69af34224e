"""From what a leg left behind to its figures.

Times count from the intended arrival. An answer is *good* if it is the page and came within the
scenario's bound; it counts in the second in which it came, so that a long queue at the end of what is
counted is no gain. *Possible* is what was asked in a second and could be answered, by the known capacity.
"""

import json
import statistics

# What share of the possible is as good as back, for how many seconds in a row.
BACK, FOR = 0.9, 3


def percentile(values, share):
    """Of sorted values; None of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def between(steps, begin, end):
    """What steps of a rate amount to between two moments."""
    total = 0.0
    for (at, rate), after in zip(steps, [at for at, _ in steps[1:]] + [float("inf")]):
        total += rate * max(0.0, min(after, end) - max(at, begin))
    return total


def jain(values):
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None


def read(leg, stories, scenario):
    """The figures of a leg, from the report of `rush` and its lines about each person."""
    with open(stories, encoding="utf-8") as file:
        people = [json.loads(line) for line in file]
    asked = [one for one in people if one["class"] in scenario.counted]
    figures = {
        "requests": leg["requests"],
        "wasted": leg["origin_wasted_share"],
        "in_flight_max": leg["origin_in_flight_max"],
        "drift": drift(leg["series"], scenario),
        "wobble": wobble(leg["series"], scenario),
        # To look at: what is unfinished at the origin, sample by sample.
        "in_flight": [(round(one["at_s"], 1), one["in_flight"]) for one in leg["series"]],
    }
    if scenario.judged == "sessions":
        return figures | sessions(leg, asked)
    if scenario.judged == "users":
        figures |= users(leg, people)
    return figures | answers(asked, scenario)


def answers(asked, scenario):
    begin, end = scenario.window
    came = [one for one in asked if begin <= one["came_s"] < end]
    took = lambda one: one["ended_s"] - one["came_s"]
    is_good = lambda one: one["end"] == "completed" and took(one) <= scenario.slo
    good = sum(is_good(one) for one in asked if begin <= one["ended_s"] < end)
    # Who was not answered in time was let through all the same, and waits in vain.
    longest = scenario.slo
    let_in = sorted(took(one) for one in came if one["end"] == "completed" or took(one) > longest)
    refused = sorted(took(one) for one in came if one["end"] == "failed" and took(one) <= longest)
    seconds = bins(asked, scenario, is_good)
    inside = [(can, did) for at, can, did in seconds if at >= begin]
    possible = sum(can for can, _ in inside)
    return {
        "came": len(came),
        "good": good,
        "possible": possible,
        "of_possible": good / possible if possible else None,
        "p99_ms": round(1000 * percentile(let_in, 0.99)) if let_in else None,
        "refused_p99_ms": round(1000 * percentile(refused, 0.99), 1) if refused else None,
        "back_s": [back(seconds, event, scenario) for event in scenario.events],
        "first_5_s": early(seconds, scenario),
        # To look at: second by second what was possible, and what was good.
        "seconds": [(round(can), did) for _, can, did in seconds],
    }


def bins(asked, scenario, is_good):
    """Second by second while people come: when, what was possible, what was good."""
    origin = scenario.window[0] % 1
    count = int(scenario.until - origin)
    came, good = [0.0] * count, [0] * count
    for one in asked:
        number = int(one["came_s"] - origin)
        if 0 <= number < count:
            came[number] += next((share for at, to, share in scenario.sound if at <= one["came_s"] < to), 1.0)
        number = int(one["ended_s"] - origin)
        if 0 <= number < count:
            good[number] += is_good(one)
    rows = []
    for number in range(count):
        at = origin + number
        rows.append((at, min(came[number], between(scenario.capacity, at, at + 1)), good[number]))
    return rows


def back(seconds, event, scenario):
    """Whole seconds from an event until goodput is back; None if it was not, before the next one."""
    after = [other for other in scenario.events if other > event]
    changes = [at for at, _ in scenario.capacity if at > event + 0.5]
    over = min([scenario.until, *after, *changes])
    rows = [(can, did) for at, can, did in seconds if at >= event - 1e-9 and at + 1 <= over + 1e-9]
    for number in range(len(rows) - FOR + 1):
        if all(did >= BACK * can for can, did in rows[number : number + FOR]):
            return number
    return None


def early(seconds, scenario):
    """Goodput of the first five seconds after the first event."""
    if not scenario.events:
        return None
    rows = [(can, did) for at, can, did in seconds if 0 <= at - scenario.events[0] < 5]
    possible = sum(can for can, _ in rows)
    return sum(did for _, did in rows) / possible if possible else None


def drift(series, scenario):
    """What is unfinished at the origin in the end, over what was early on; the same for all who stand
    before it, whatever they call their limit."""
    span = min(60.0, scenario.until / 6)
    mean = lambda begin, end: statistics.mean([one["in_flight"] for one in series if begin <= one["at_s"] < end] or [0])
    early_on = mean(span, 2 * span)
    return mean(scenario.until - span, scenario.until) / early_on if early_on else None


def wobble(series, scenario):
    """How much that varies, over its mean."""
    begin, end = scenario.window
    values = [one["in_flight"] for one in series if begin <= one["at_s"] < end]
    mean = statistics.mean(values) if values else 0
    return statistics.pstdev(values) / mean if mean else None


def users(leg, people):
    mine = [one["pages"] for one in people if one["class"] == "user"]
    asked = sum(one["requests"] for one in people if one["class"] == "user")
    payers = [one for one in people if one["class"] == "payer"]
    greedy = leg["bot_requests"]
    return {
        "fair": jain(mine),
        "users_served": sum(mine) / asked if asked else None,
        "greedy_served": leg["bots_served"] / greedy if greedy else None,
        "payers_served": sum(one["end"] == "completed" for one in payers) / len(payers) if payers else None,
    }


def sessions(leg, people):
    let_in = [one for one in people if one["admitted_s"] is not None]
    done = sum(one["end"] == "completed" for one in people)
    return {
        "came": len(people),
        "good": done,
        "completed": done / len(people) if people else None,
        "let_in_completed": sum(one["end"] == "completed" for one in let_in) / len(let_in) if let_in else None,
        "work": leg["goodput"],
        "inversions": leg["inversions"],
        "goal_p99_s": leg["goal_p99_s"],
    }
