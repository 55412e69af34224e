#!/usr/bin/python3
"""Where the time of a request goes: the kernel, the libraries, our own code, by perf's samples.

The same stage as `peers.py`: Tornello on core 0, load and backend on core 1. Every sample is booked on the
function it stopped in, and that on the crate it comes from; a generic function counts for the crate that
wrote it. For the peers only kernel and user are told apart. Prints the table of the README.

    /usr/bin/python3 benches/profile.py [--binary FILE] [--rows "64 connections"] [--top 0]
"""

import argparse
import collections
import re
import subprocess
import sys
import tempfile
import time

from peers import ROOT, ROWS, Stage, load

# Part, and what a symbol of it begins with, behind `<`, `&` and `alloc::`-like wrappers; first match counts.
PARTS = [
    ("memory: malloc and free", r"_?_?r?jem|__rust|malloc|free|sdallocx|alloc::alloc"),
    ("memory: copies", r"__mem|mem(cpy|move|set|cmp)|bcmp"),
    ("HTTP: hyper, http, httparse, h2, bytes", r"hyper|http|h2::|bytes::|smallvec|want::|itoa|memchr"),
    ("runtime: tokio, mio", r"tokio|mio|slab|parking_lot"),
    ("TLS: rustls, ring", r"rustls|ring|aws|_?x25519|_?aes|_?gcm"),
    ("metrics: prometheus", r"prometheus"),
    ("Tornello", r"tornello"),
]
OTHER = "Rust's library and the rest"


def part(symbol, dso):
    if "kernel" in dso or dso.startswith("[k") or symbol.startswith("[k]"):
        return "kernel"
    name = re.sub(r"^\[\.\] ", "", symbol)
    # `<a::B as c::D>::e` is a's; `core::ptr::drop_in_place<a::B>` and the like are a's as well.
    inner = re.sub(r"^[<&*]*(mut )?", "", name)
    drop = re.match(r"(?:core|std|alloc)::.*?<(?:&?(?:mut )?)*((?!core|std|alloc)[a-z_0-9]+::)", inner)
    for candidate in (inner, drop.group(1) if drop else ""):
        for title, begins in PARTS:
            if candidate and re.match(begins, candidate):
                return title
    return OTHER


def ticks(process, stage):
    """User and kernel time of a process tree, in ticks."""
    user = kernel = 0
    for pid in stage.children[process].tree():
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user, kernel


def sampled(stage, row, seconds, folder):
    """Shares of Tornello's time by part, and by symbol, while the row's load runs."""
    # perf follows the process that taskset became.
    command = ["perf", "record", "-q", "-F", "1999", "-p", str(stage.children["tornello"].process.pid),
               "-o", f"{folder}/perf.data"]
    watching = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(0.5)
    cost = load(stage, "tornello", row, row[1] * seconds)
    watching.terminate()
    watching.wait()
    report = subprocess.run(
        ["perf", "report", "-i", f"{folder}/perf.data", "--stdio", "--no-children", "-F", "sample,dso,symbol",
         "-t", "\t", "--percent-limit", "0"],
        capture_output=True, text=True, check=True,
    ).stdout
    parts, symbols, total = collections.Counter(), collections.Counter(), 0
    for line in report.splitlines():
        cells = [cell.strip() for cell in line.split("\t")]
        if line.startswith("#") or len(cells) != 3 or not cells[0].isdigit():
            continue
        samples = int(cells[0])
        parts[part(cells[2], cells[1])] += samples
        symbols[f"{part(cells[2], cells[1])}: {cells[2]}"] += samples
        total += samples
    if total < 200:
        sys.exit(f"perf saw {total} samples: {watching.stderr.read().decode()}")
    shares = lambda counted: {name: count / total for name, count in counted.items()}
    return cost, shares(parts), shares(symbols)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=f"{ROOT}/target/release/tornello")
    options.add_argument("--rows", default="64 connections", help="rows of the bench whose name contains this")
    options.add_argument("--times", type=int, default=5, help="requests, in multiples of the bench's")
    options.add_argument("--top", type=int, default=0, help="so many functions, by their own time")
    options = options.parse_args()
    titles = ["kernel", *(title for title, _ in PARTS), OTHER]
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder, options.binary)
        try:
            stage.start_backend()
            stage.start_tornello()
            stage.start_peers()
            for row in (row for row in ROWS if options.rows in row[0]):
                load(stage, "tornello", row, row[1])
                cost, parts, symbols = sampled(stage, row, options.times, folder)
                print(f"\n{row[0]}: {cost:.1f} µs of CPU a request, of which\n\n| | µs | share |\n|---|---|---|")
                for title in titles:
                    share = parts.get(title, 0.0)
                    print(f"| {title} | {cost * share:.1f} | {100 * share:.0f} % |")
                for peer in ("nginx", "haproxy"):
                    before = ticks(peer, stage)
                    cost = load(stage, peer, row, row[1] * options.times)
                    user, kernel = (after - was for after, was in zip(ticks(peer, stage), before))
                    share = kernel / max(1, user + kernel)
                    print(f"| {peer}: kernel {cost * share:.1f}, user {cost * (1 - share):.1f} | {cost:.1f} | |")
                for name, share in sorted(symbols.items(), key=lambda pair: -pair[1])[: options.top]:
                    print(f"    {cost * share:6.2f} µs  {name}")
        finally:
            stage.end()


if __name__ == "__main__":
    main()
