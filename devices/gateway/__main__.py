"""python -m devices.gateway."""

import sys

from devices.gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
