#!/usr/bin/env python3
"""The cluster's torture for half a minute; tests/integration/torture goes on for longer."""

import os

from torturer import Torturer
from weir_test import REDUCED, main, test

SEED = int(os.environ.get("WEIR_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
SECONDS = 12 if REDUCED else 20


def say(text):
    print(f"# {text}", flush=True)


@test
def cluster_under_load_and_faults_loses_and_repeats_nothing(folder):
    say(f"seed {SEED}")
    torturer = Torturer(folder, SEED, 3, say, freeze_seconds_max=4)
    try:
        for name, value in torturer.run(SECONDS).items():
            say(f"{name}: {value}")
    finally:
        torturer.close()


if __name__ == "__main__":
    main()
