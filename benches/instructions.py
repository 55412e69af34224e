#!/usr/bin/python3
"""What a request costs Tornello in instructions of its own code, counted by valgrind's callgrind.

Steadier than any time: two builds can be compared on a busy machine. Only what runs in the process
counts, not the kernel, and how long an instruction takes is not told; `peers.py` is for that. What the
gateway does whether somebody asks or not (boards, seats) is left out.

    /usr/bin/python3 benches/instructions.py [--binary FILE] [--only ROW] [--top 40]
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import tempfile

from peers import ROOT, ROWS, Stage

REQUESTS = 2000
BACKGROUND = "app::pulse::Pulse::run"


class Counted(Stage):
    """The stage, with Tornello under callgrind."""

    def start(self, name, core, command):
        if name == "tornello":
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.folder}/counts", *command]
        super().start(name, core, command)

    def ask(self, row, requests):
        _, _, _, streams, scheme, path, fields, _ = row
        command = ["taskset", "-c", "1", "h2load", "-t", "1", "-n", str(requests), "-c", "16", "-m", str(streams)]
        if scheme != "h2":
            command.append("--h1")
        if scheme != "http":
            command.append(f"--connect-to=127.0.0.1:{self.ports['tornello-tls']}")
        for field, value in fields.items():
            command += ["-H", f"{field}: {value}"]
        subprocess.run([*command, self.url("tornello", scheme, path)], capture_output=True, check=True)

    def control(self, action):
        pid = str(self.children["tornello"].process.pid)
        subprocess.run(["callgrind_control", action, pid], capture_output=True, check=True)

    def count(self, row):
        """Instructions by function, and those of the background."""
        self.ask(row, REQUESTS // 10)
        self.control("-z")
        self.ask(row, REQUESTS)
        self.control("-d")
        dumps = glob.glob(f"{self.folder}/counts.*")
        newest = max(dumps, key=lambda dump: int(dump.rsplit(".", 1)[1]))
        try:
            return read(newest)
        finally:
            os.unlink(newest)


def read(dump):
    names, own, background = {}, collections.Counter(), 0
    function = called = None
    inclusive = False

    def name(text):
        number, _, rest = text.partition(" ")
        if rest:
            names[number] = rest
        return names.get(number, text)

    with open(dump, encoding="utf-8", errors="replace") as file:
        for text in file:
            if text.startswith("fn="):
                function = name(text[3:].strip())
            elif text.startswith("cfn="):
                called = name(text[4:].strip())
            elif text.startswith("calls="):
                inclusive = True
            elif re.match(r"[\d+*-]", text):
                cost = int(text.split()[1])
                if not inclusive:
                    own[function] += cost
                elif BACKGROUND in called and BACKGROUND not in function:
                    background += cost
                inclusive = False
    return own, background


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--binary", default=f"{ROOT}/target/release/tornello")
    options.add_argument("--only", default="", help="rows whose name contains this")
    options.add_argument("--top", type=int, default=0, help="functions to show for each row")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage = Counted(folder, options.binary)
        try:
            stage.start_backend()
            stage.start_tornello()
            for row in ROWS:
                if options.only not in row[0]:
                    continue
                own, background = stage.count(row)
                print(f"{(sum(own.values()) - background) / REQUESTS:10.0f}  {row[0]}", flush=True)
                for function, cost in own.most_common(options.top):
                    print(f"{cost / REQUESTS:22.0f}  {function[:110]}")
        finally:
            stage.end()


if __name__ == "__main__":
    main()
