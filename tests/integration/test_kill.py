#!/usr/bin/env python3
"""kill -9 of the server in a loop under load; tests/integration/kill_loop does it N times."""

import os

from kill import KillLoop
from weir_test import REDUCED, main, test

ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", "2" if REDUCED else "8"))


@test
def no_acknowledged_event_is_lost_and_no_id_issued_twice(folder):
    loop = KillLoop(folder, seed=int.from_bytes(os.urandom(4), "big"))
    for number in range(ROUNDS):
        loop.one_round(number)
    loop.finish()
    print(f"# {ROUNDS} rounds, {loop.acknowledged} events acknowledged, {len(loop.kept)} stored")


if __name__ == "__main__":
    main()
