#!/usr/bin/env python3
"""Runs every test here, in two processes beside each other, and closes with a count.

run.py           all tests
run.py NAME…     those tests alone, in this process
"""

import glob
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
# Those that look at every release: the process that has them renders the releases once, and validates each manifest once.
EVERYWHERE = ["test_defects", "test_rendering", "test_safety"]


def run(names):
    """Runs tests, and says what they came to."""
    import rendering

    # Copying the charts is not some test's time.
    rendering.folder_of("otv")
    result = unittest.TextTestRunner(verbosity=1).run(unittest.TestLoader().loadTestsFromNames(names))
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    counted = {"tests": result.testsRun, "failed": failed, "skipped": len(result.skipped), "routes": len(rendering.checked)}
    return counted | rendering.COUNTS, " and ".join(rendering.VERSIONS)


class Part:
    """Tests in a process of their own."""

    def __init__(self, names):
        self.names = names
        self.report, self.said = tempfile.NamedTemporaryFile(), tempfile.NamedTemporaryFile()
        words = [sys.executable, __file__, "--report", self.report.name, *names]
        self.process = subprocess.Popen(words, stdout=self.said, stderr=subprocess.STDOUT)

    def ended(self):
        status = self.process.wait()
        with self.report, self.said:
            # The child wrote through the same description: it stands at the end.
            self.said.seek(0)
            sys.stderr.write(self.said.read().decode(errors="replace"))
            text = self.report.read()
        if not text:
            # It ended before it could count.
            sys.stderr.write(f"charts: {' '.join(self.names)}: ended with status {status}\n")
            return {"failed": 1}, ""
        return json.loads(text)


def main():
    words = sys.argv[1:]
    if words[:1] == ["--report"]:
        counted = run(words[2:])
        with open(words[1], "w", encoding="utf-8") as file:
            json.dump(counted, file)
        return 0
    began = time.monotonic()
    if words:
        results = [run(words)]
    else:
        every = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(FOLDER, "test_*.py")))
        parts = [Part([name for name in every if (name in EVERYWHERE) == wanted]) for wanted in (True, False)]
        results = [part.ended() for part in parts]
    total = {}
    for counted, _ in results:
        for what, number in counted.items():
            total[what] = total.get(what, 0) + number
    tests, failed = total.get("tests", 0), total.get("failed", 0)
    print(
        f"charts: {tests} tests, {failed} failed, {total.get('skipped', 0)} skipped; "
        f"{total.get('rendered', 0)} releases rendered, {total.get('validated', 0)} manifests valid "
        f"for Kubernetes {results[0][1]}, {total.get('routes', 0)} routes.json given to the balancer; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if failed or any(not counted.get("tests") for counted, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
