"""The scenarios: what comes, what stands behind, what breaks, and when, as `tornello rush` reads it.

An origin of known capacity: workers behind one queue, lognormal service times. The crowd is an open
loop of people who ask once and do not try again, where nothing else is said; they come from the first
second on, so that whatever stands before the origin has found it. Nothing here asks for more than
2,500 requests a second, so that processors do not decide.
"""

import math
from dataclasses import dataclass, field

# The normal quantile of 99 of 100.
Z99 = 2.3263
# Nobody comes before.
FROM = 1.0


def lognormal(mean, cv):
    sigma = math.sqrt(math.log(1 + cv * cv))
    return mean / math.exp(sigma * sigma / 2), sigma


@dataclass
class Service:
    """How long work takes: its mean, what 99 of 100 stay below, and the law in the scenario's words."""

    mean: float
    p99: float
    law: str

    @staticmethod
    def spread(mean, cv=0.5):
        median, sigma = lognormal(mean, cv)
        law = f'{{ law = "lognormal", median_s = {median:.6f}, sigma = {sigma:.6f} }}'
        return Service(mean, median * math.exp(Z99 * sigma), law)

    @staticmethod
    def bimodal(fast, slow, share):
        law = f'{{ law = "bimodal", fast_s = {fast}, slow_s = {slow}, slow_share = {share} }}'
        return Service(fast + (slow - fast) * share, slow, law)


@dataclass
class Scenario:
    """A scenario, and what is known of it beforehand."""

    key: str
    title: str
    # Workers of the origin in health: what an operator who knew it would set.
    slots: int
    # Until when people come.
    until: float
    # Classes and endpoints of the crowd, as TOML.
    crowd: str
    # Most requests a second, of all.
    peak: float
    # What must be answered within, in seconds.
    slo: float
    # Time that 99 of 100 take when nobody waits, after everything that happens to the work itself.
    calm_p99: float
    # From when on how many answers a second are possible.
    capacity: list
    # Between when and when those come who are counted.
    window: tuple
    # Of what comes, the share that the origin does not make errors: from, to, share.
    sound: list = field(default_factory=list)
    # After these moments the time is taken until goodput is back.
    events: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    thrash: float = 0.0
    # requests, users or sessions: by what it is judged.
    judged: str = "requests"
    # Longest time after the last arrival.
    rest: float = 3.0
    # What is counted, by class.
    counted: tuple = ("visitor",)
    # Played once, whatever the number of seeds: it is long.
    once: bool = False

    @property
    def horizon(self):
        return self.until + self.rest

    def toml(self):
        faults = "".join(f"\n[[fault]]\n{fault}\n" for fault in self.faults)
        return (
            f'name = "overload {self.key}"\nhorizon_s = {self.horizon}\n{self.crowd}\n'
            f"[pool.app]\nslots = {self.slots}\nzombies = true\nthrash = {self.thrash}\n{faults}"
        )


def page(service, name="page"):
    return f'[[endpoint]]\nid = "{name}"\npath = "/{name}"\npool = "app"\nservice_s = {service.law}\n'


def stream(stretches, name="visitor", step="page", timeout=3.0, more='retry = "none"', spinner=600):
    """People who ask once. `stretches` are seconds and people a second, from the first second on."""
    people = round(sum(seconds * rate for seconds, rate in stretches))
    laws = ", ".join(f"{{ for_s = {seconds}, per_s = {rate} }}" for seconds, rate in stretches)
    return (
        f'[[class]]\nid = "{name}"\npeople = {people}\nsteps = ["{step}"]\ntimeout_s = {timeout}\n{more}\n'
        f'arrival = {{ law = "steps", from_s = {FROM}, stretches = [{laws}] }}\n'
        f"patience_s = {{ spinner = {spinner}, ticket = {spinner} }}\n"
    )


def fault(begin, end, what, pool=True):
    where = 'pool = "app"\n' if pool else ""
    return f"at_s = {begin}\nuntil_s = {end}\n{where}{what}"


# What most of them have in common: 30 workers of 150 ms are 200 requests a second.
SLOTS, WORK = 30, Service.spread(0.15)
RATE = SLOTS / WORK.mean


def simple(key, title, until, times, warm, **more):
    """A steady stream of `times` the capacity."""
    service = more.pop("service", WORK)
    slots = more.pop("slots", SLOTS)
    rate = slots / service.mean
    timeout = more.pop("timeout", 3.0)
    more = {"slo": 1.5, "calm_p99": service.p99, "capacity": [(0, rate)], "peak": times * rate,
            "window": (FROM + warm, until)} | more
    crowd = stream([(until - FROM, times * rate)], timeout=timeout) + page(service)
    return Scenario(key=key, title=title, slots=slots, until=until, crowd=crowd, **more)


def drift(seconds):
    service = Service.spread(0.2)
    return simple("2", f"{seconds:.0f} s at 1.5x", seconds, 1.5, min(20, seconds / 4), slots=14, service=service,
                  slo=2.0, timeout=4.0, once=True)


def click_day(seconds):
    service, slots, begin = Service.spread(0.3), 60, FROM
    rate = 10 * slots / service.mean
    return Scenario(
        key="3", title="click day: from nothing to 10x, cold", slots=slots, until=begin + seconds,
        crowd=stream([(seconds, rate)], timeout=5.0) + page(service), peak=rate, slo=3.0, calm_p99=service.p99,
        capacity=[(0, slots / service.mean)], window=(begin, begin + seconds), events=[begin], rest=6.0,
    )


def capacity_step(until):
    low, down, up = SLOTS // 3, until / 3, 2 * until / 3
    return simple("4", f"workers {SLOTS}, {low}, {SLOTS} at 1.5x", until, 1.5, 5, events=[down, up],
                  capacity=[(0, RATE), (down, RATE / 3), (up, RATE)], faults=[fault(down, up, f"slots = {low}")])


def slower(until):
    at, slow = until / 3, Service.spread(3 * WORK.mean)
    return simple("5", "work takes 3x as long, at 1.5x", until, 1.5, 0, slo=3.0, timeout=6.0, calm_p99=slow.p99, rest=6.0,
                  capacity=[(0, RATE), (at, RATE / 3)], events=[at], window=(at, until),
                  faults=[fault(at, until + 6, "slowness = 3.0")])


def mix_shift(until):
    """From 5 to 50 of 100 for the slow page, which takes ten times as long as the quick one."""
    quick, slow, at = Service.spread(0.1), Service.spread(1.0), until / 2
    before, after = (SLOTS / (quick.mean * (1 - share) + slow.mean * share) for share in (0.05, 0.5))
    rates = [1.5 * before, 1.5 * after]
    spans = [at - FROM, until - at]
    crowd = "".join(
        stream([(span, rate * share) for span, rate, share in zip(spans, rates, shares)], name, name, 8.0)
        for name, shares in (("quick", (0.95, 0.5)), ("slow", (0.05, 0.5)))
    )
    return Scenario(
        key="5b", title="mix from 5 % to 50 % slow, at 1.5x", slots=SLOTS, until=until,
        crowd=crowd + page(quick, "quick") + page(slow, "slow"), peak=max(rates), slo=4.0, calm_p99=slow.p99,
        capacity=[(0, before), (at, after)], window=(FROM + 5, until), events=[at], counted=("quick", "slow"), rest=9.0,
    )


def storm(until, trigger):
    """Clients that try three times more, and a trigger that goes: goodput must come back with the load as
    it is."""
    slots, at, load = 20, 8.0, 0.8
    rate = load * slots / WORK.mean
    # Refused within 0.2 s, they try at 0, 0.7, 1.4 and 2.1 s, and then leave.
    crowd = stream([(until - FROM, rate)], timeout=1.0, spinner=2.2, more='retry = "hammer"\nretry_gap_s = 0.5')
    return Scenario(
        key="9", title=f"retry storm: {trigger:.0f} s at a quarter of the workers, 0.8x", slots=slots, until=until,
        crowd=crowd + page(WORK), peak=4 * rate, slo=1.5, calm_p99=WORK.p99,
        capacity=[(0, rate / load), (at, rate / load / 4), (at + trigger, rate / load)], window=(at + trigger + 5, until),
        events=[at + trigger], faults=[fault(at, at + trigger, f"slots = {slots // 4}")], rest=5.0,
    )


def stalls(until, key, length, every, first):
    begins = [first + every * number for number in range(int((until - first - 1) // every) + 1)]
    capacity = [(0, RATE)]
    for begin in begins:
        capacity += [(begin, 0.0), (begin + length, RATE)]
    events = [begin + length for begin in begins] if length > 1 else []
    title = f"{length:g} s of standstill every {every:g} s, at 1.5x" if len(begins) > 1 else f"{length:g} s of standstill, at 1.5x"
    window = (begins[0] + length, until) if length > 1 else (FROM + 5, until)
    return simple(key, title, until, 1.5, 5, capacity=capacity, events=events, window=window, timeout=5.0, rest=6.0,
                  faults=[fault(begin, begin + length, "stalled = true") for begin in begins])


def errors(until):
    begin, end = until / 3, 2 * until / 3
    return simple("8", "30 % quick 503 for a third of the time, at 1.5x", until, 1.5, 5, events=[end],
                  sound=[(begin, end, 0.7)],
                  faults=[fault(begin, end, "error_rate = 0.3\nerror_status = 503\nerror_at_once = true")])


def dead(until):
    begin, end = until / 3, until / 3 + 5
    return simple("8b", "refused connections for 5 s, at 1.5x", until, 1.5, 5, window=(end, until), events=[end],
                  capacity=[(0, RATE), (begin, 0.0), (end, RATE)], faults=[fault(begin, end, 'origin = "dead"', pool=False)])


def fairness(until):
    """Ten programs that want more than everything, users who want less than their share, each as much as
    the other, and those who pay; three times the capacity in all."""
    span = until - FROM
    # A user asks about 1.5 times a second: half a second after an answer or a refusal.
    pay, users = RATE / 4, round(0.3 * RATE)
    programs = (
        f'[[class]]\nid = "greedy"\npeople = 10\nidentities = 10\nrate_rps = {0.23 * RATE:.3f}\nsteps = ["page"]\n'
        f'timeout_s = 3.0\narrival = {{ law = "uniform", from_s = {FROM}, to_s = {FROM + 1} }}\n'
    )
    people = (
        f'[[class]]\nid = "user"\npeople = {users}\nsteps = ["page x{math.ceil(3 * span)}"]\ntimeout_s = 3.0\n'
        f'retry = "hammer"\nretry_gap_s = 0.5\nthink_s = 0.5\n'
        f'arrival = {{ law = "uniform", from_s = {FROM}, to_s = {FROM + 1} }}\n'
        "patience_s = { spinner = 600, ticket = 600 }\n"
    )
    return Scenario(
        key="11", title=f"10 greedy, {users} users, and those who pay: 3x in all", slots=SLOTS, until=until,
        crowd=programs + people + stream([(span, pay)], "payer", "pay") + page(WORK) + page(WORK, "pay"),
        peak=3 * RATE, slo=1.5, calm_p99=WORK.p99, capacity=[(0, RATE)], window=(FROM + 5, until),
        judged="users", counted=("payer",), rest=3.0,
    )


def sessions(people, slots, until, gap, patience):
    """People with a walk of four pages who come within five seconds, and half of the workers gone for a
    while. The gateway has a waiting room; nobody else has one."""
    rate = slots / WORK.mean
    begin, end = until / 4, until / 2
    crowd = (
        f'[[class]]\nid = "visitor"\npeople = {people}\nsteps = ["page", "page", "page", "last"]\ntimeout_s = 3.0\n'
        f'retry = "hammer"\nretry_gap_s = {gap}\nthink_s = {{ law = "lognormal", median_s = 0.3, sigma = 0.5 }}\n'
        f'arrival = {{ law = "uniform", from_s = {FROM}, to_s = {FROM + 5} }}\n'
        f"patience_s = {{ spinner = {patience}, ticket = 600 }}\n"
    )
    last = page(WORK, "last") + "ends_session = true\n"
    first = page(WORK) + "personal = true\n"
    return Scenario(
        key="12", title=f"{people} sessions of 4 pages, half of the workers gone from {begin:.0f} to {end:.0f} s",
        slots=slots, until=until, crowd=crowd + first + last, peak=people / gap, slo=3.0, calm_p99=WORK.p99,
        capacity=[(0, rate), (begin, rate / 2), (end, rate)], window=(FROM, until), judged="sessions", rest=1.0,
        faults=[fault(begin, end, f"slots = {slots // 2}")], once=True,
    )


def all_of_them(quick, seconds=None):
    """The scenarios, in order. `quick` leaves the variants out (1b, 5b, 6b, 6c, 7b, 8b) and plays shorter."""
    until = seconds or (24.0 if quick else 48.0)
    warm = min(6, until / 4) if quick else 8
    steady = max(until * 0.75, 8.0)
    plain = [
        simple("1", "steady 2x", steady, 2, warm),
        drift(seconds or (100.0 if quick else 900.0)),
        click_day(seconds or (10.0 if quick else 25.0)),
        capacity_step(until),
        slower(until),
        simple("6", "bimodal: one in ten takes 60 times as long, at 1.5x", until, 1.5, warm,
               service=Service.bimodal(0.022, 1.302, 0.1), slo=2.5, timeout=5.0),
        stalls(until, "7", 3.0, 30.0, until / 3) if quick else stalls(2 * until, "7", 3.0, 30.0, until / 3),
        errors(until),
        storm(until + 4, 6.0) if quick else storm(2 * until, 15.0),
        simple("10", "work grows with what waits, 2x", steady, 2, warm, thrash=0.5, timeout=5.0),
        fairness(steady),
        sessions(360, 10, 34.0, 1.0, 10.0) if quick else sessions(5000, 60, 75.0, 2.5, 20.0),
    ]
    variants = [
        simple("1b", "steady 5x", until, 5, warm),
        mix_shift(until),
        simple("6b", "service times nearly equal (cv 0.05), 1.5x", until, 1.5, warm, service=Service.spread(0.15, 0.05)),
        simple("6c", "service times far apart (cv 2), 1.5x", until, 1.5, warm, service=Service.spread(0.15, 2.0), slo=2.5,
               timeout=5.0),
        stalls(until, "7b", 0.2, 2.0, 4.0),
        dead(until),
    ]
    chosen = plain if quick else plain + variants
    return sorted(chosen, key=lambda one: (int("".join(filter(str.isdigit, one.key))), one.key))
