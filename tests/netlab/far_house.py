"""The product at the end "b" of a bad line, as an operator starts it; obeys its input.

Says one JSON line when it serves. `kill NAME` kills one of its children with -9 and answers with
the monotonic time of that; at the end of its input everything is stopped.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from house import House

from tests.netlab.link import ADDRESSES

START_S = 180.0  # on a machine that does much else


def main() -> None:
    """Serves until the input ends."""
    house = House.fresh(YANASHA_HOST=ADDRESSES["b"])
    house.url = f"http://{ADDRESSES['b']}:{house.http_port}"
    try:
        house.start(START_S)
        house.seed()
        print(json.dumps({"url": house.url, "world": house.world}), flush=True)
        for line in sys.stdin:
            house.kill(line.split()[1])
            print(json.dumps(time.monotonic()), flush=True)
    finally:
        house.stop()
        house.remove()


if __name__ == "__main__":
    main()
