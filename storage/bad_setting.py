"""A setting that cannot be used."""


class BadSetting(Exception):  # noqa: N818 - a sentence, not a failure
    """A setting that cannot be used; the text names the variable and the reason."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable
        self.reason = reason
