"""What ends a device's attempts for good, and how long it waits between the others."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


class DeviceRefused(Exception):  # noqa: N818 - a fact the server stated
    """The server will not have this device; `code` is its reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
