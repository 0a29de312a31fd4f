#!/usr/bin/env python3
"""Nodes and consumers are killed for a while; tests/integration/group_kill_loop goes on longer."""

import os

from group_killer import GroupKiller
from weir_test import main, test

SEED = int(os.environ.get("WEIR_TEST_SEED") or 4)
SECONDS = 15  # of faults


def say(text):
    print(f"# {text}", flush=True)


@test
def every_event_is_handled_whoever_is_killed(folder):
    say(f"seed {SEED}")
    killer = GroupKiller(folder, SEED, 3, say)
    try:
        for name, value in killer.run(SECONDS).items():
            say(f"{name}: {value}")
    finally:
        killer.close()


if __name__ == "__main__":
    main()
