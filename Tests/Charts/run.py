#!/usr/bin/env python3
"""Runs every test here and closes with a count."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rendering  # noqa: E402  (its folder is on the path only now)


def main():
    began = time.monotonic()
    rendering.folder_of("otv")
    names = sys.argv[1:]
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names) if names else loader.discover(os.path.dirname(os.path.abspath(__file__)))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    versions = " and ".join(rendering.VERSIONS)
    print(
        f"charts: {result.testsRun} tests, {failed} failed, {len(result.skipped)} skipped; "
        f"{rendering.COUNTS['rendered']} releases rendered, {rendering.COUNTS['validated']} different manifests valid "
        f"for Kubernetes {versions}, {len(rendering.checked)} routes.json given to the balancer; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
