"""What the figures of the comparison say of runs whose outcome is known."""

import json
import tempfile
import unittest

import figures
import legs
import rehearsed
import run
import scenarios
import table


def person(came, took, end="completed", kind="visitor", **more):
    return {"class": kind, "came_s": came, "ended_s": came + took, "end": end, "requests": 1,
            "pages": int(end == "completed"), "admitted_s": None} | more


def leg(series=(), **more):
    return {"requests": 0, "origin_wasted_share": 0.0, "origin_in_flight_max": 0, "series": list(series)} | more


def read(people, scenario, one=None):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(line) + "\n" for line in people)
        file.flush()
        return figures.read(one or leg(), file.name, scenario)


def evenly(rate, begin, end):
    return [begin + number / rate for number in range(int(rate * (end - begin)))]


STEADY = scenarios.simple("1", "steady", 21.0, 2, 5)


class Goodput(unittest.TestCase):
    def test_half_of_twice_the_capacity_is_all_that_is_possible(self):
        times = evenly(400, 1, 21)
        people = [person(at, 0.2) if number % 2 else person(at, 0.01, "failed") for number, at in enumerate(times)]
        found = read(people, STEADY)
        self.assertEqual((found["came"], found["possible"]), (6000, 3000))
        self.assertAlmostEqual(found["good"], 3000, delta=1)
        self.assertEqual((found["p99_ms"], found["refused_p99_ms"]), (200, 10.0))

    def test_a_late_page_is_not_good_and_who_waits_in_vain_was_let_in(self):
        times = evenly(200, 1, 21)
        found = read([person(at, 1.6) for at in times], STEADY)
        self.assertEqual((found["good"], found["p99_ms"]), (0, 1600))
        found = read([person(at, 3.0, "failed") for at in times], STEADY)
        self.assertEqual((found["good"], found["p99_ms"], found["refused_p99_ms"]), (0, 3000, None))

    def test_who_never_came_to_an_end_is_not_good(self):
        self.assertEqual(read([person(10.0, 0.0, "still_there")], STEADY)["good"], 0)


class Return(unittest.TestCase):
    def test_seconds_until_goodput_is_back_for_good(self):
        scenario = scenarios.capacity_step(24.0)
        self.assertEqual(scenario.events, [8.0, 16.0])
        # Back at once when workers go; two seconds late when they come.
        able = lambda at: 200 / 3 if 8 <= at < 18 else 200
        people = []
        for at in evenly(300, 1, 24):
            served = (at * 300) % 300 < able(at)
            people.append(person(at, 0.2) if served else person(at, 0.01, "failed"))
        self.assertEqual(read(people, scenario)["back_s"], [0, 2])

    def test_never_is_never(self):
        scenario = scenarios.capacity_step(24.0)
        found = read([person(at, 0.01, "failed") for at in evenly(300, 1, 24)], scenario)
        self.assertEqual(found["back_s"], [None, None])
        self.assertEqual(table.seconds(table.slowest(found["back_s"])), "never")

    def test_what_the_origin_makes_errors_is_not_possible(self):
        scenario = scenarios.errors(24.0)
        people = [person(at, 0.2) for at in evenly(100, 1, 24)]
        found = read(people, scenario)
        # Of 18 seconds, 8 with seven tenths.
        self.assertAlmostEqual(found["possible"], 100 * (10 + 8 * 0.7), delta=1)


class Drift(unittest.TestCase):
    def test_twice_as_much_in_the_end_is_two(self):
        scenario = scenarios.drift(120.0)
        series = [{"at_s": at / 4, "in_flight": 14 if at < 240 else 28} for at in range(480)]
        found = read([], scenario, leg(series))
        self.assertEqual(found["drift"], 2.0)


class Users(unittest.TestCase):
    def test_one_of_two_users_served_is_half_fair(self):
        scenario = scenarios.fairness(18.0)
        people = [person(1, 1, kind="user", pages=10, requests=10), person(1, 1, kind="user", pages=0, requests=10)]
        people += [person(7, 0.1, kind="payer"), person(7, 0.1, "failed", kind="payer")]
        found = read(people, scenario, leg(bot_requests=100, bots_served=5))
        self.assertEqual((found["fair"], found["users_served"], found["payers_served"]), (0.5, 0.5, 0.5))
        self.assertEqual(found["greedy_served"], 0.05)


class Rehearsed(unittest.TestCase):
    def test_what_is_done_in_the_window_counts_and_no_more(self):
        series = [{"at_s": at / 4, "completed": 10 * at} for at in range(100)]
        self.assertEqual(rehearsed.between(series, 5.0, 15.0), 400)
        self.assertEqual(rehearsed.between(series, 20.0, 99.0), 190)
        self.assertEqual(rehearsed.between([], 0.0, 1.0), 0)

    def test_seeds_are_numbers_and_spans(self):
        self.assertEqual(rehearsed.numbers(["1", "7..9"]), [1, 7, 8, 9])

    def test_all_that_is_judged_by_requests_is_rehearsed(self):
        keys = [one.key for one in rehearsed.chosen(None)]
        self.assertTrue({"1", "5b", "10"} <= set(keys) and not {"11", "12"} & set(keys))


class Plan(unittest.TestCase):
    def test_nothing_asks_for_more_than_the_processors_bear(self):
        for quick in (True, False):
            for scenario in scenarios.all_of_them(quick):
                self.assertLessEqual(scenario.peak, 2500, scenario.key)
        self.assertEqual([one.key for one in scenarios.all_of_them(True)], [str(number) for number in range(1, 13)])

    def test_every_leg_of_every_scenario_is_played_once_a_seed(self):
        class Options:
            legs, seeds, lanes = legs.LEGS, [1, 2], None

        plan = scenarios.all_of_them(False)
        played = [(one.key, seed, leg.key) for one, seed, together in run.batches(plan, Options) for leg in together]
        self.assertEqual(len(played), len(set(played)))
        once = sum(one.once for one in plan)
        self.assertEqual(len(played), len(legs.LEGS) * (2 * len(plan) - once))
        together = [sum(one.peak for _ in legs_) for one, _, legs_ in run.batches(plan, Options)]
        self.assertLessEqual(max(together), 2500)

    def test_the_whole_fits_four_hours_and_the_quick_one_twenty_minutes(self):
        class Options:
            legs, seeds, lanes = legs.LEGS, [1, 2, 3], None

        self.assertLess(run.estimate(run.batches(scenarios.all_of_them(False), Options)), 4 * 3600)
        Options.seeds = [1]
        self.assertLess(run.estimate(run.batches(scenarios.all_of_them(True), Options)), 20 * 60)


class Table(unittest.TestCase):
    def test_lost_failed_and_late_are_told(self):
        scenario = STEADY
        figure = lambda good, p99=300: {"good": good, "came": 200, "of_possible": 1.0, "p99_ms": p99, "back_s": []}
        runs = [
            {"scenario": "1", "seed": 1, "leg": "knee", "busy": 0.5, "figures": figure(80, 5000)},
            {"scenario": "1", "seed": 1, "leg": "envoy", "busy": 0.5, "figures": figure(90)},
            {"scenario": "1", "seed": 1, "leg": "fixed", "busy": 0.5, "figures": figure(100)},
            {"scenario": "1", "seed": 1, "leg": "nginx", "busy": 0.5, "failed": "no program"},
        ]
        found = table.gathered(runs, [scenario])
        text = table.markdown(found, [scenario], [one for one in legs.LEGS if one.key in ("knee", "envoy", "nginx", "none")])
        self.assertIn("| 80 (5000!) | 90 (300) | failed | not run |", text)
        lines = table.words(found, [scenario])
        self.assertIn("lost: 1: envoy 90 %, knee 80 %", lines)
        self.assertIn("failed: 1, nginx: no program", lines)
        self.assertTrue(any(line.startswith("missed: 1: p99") for line in lines))
        self.assertIn("missed: at least 85 % in all: worst 80 %", lines)


if __name__ == "__main__":
    unittest.main()
