"""Step-up: what is sensitive is done by somebody who proved lately to be the session's person.

A verb or handler of a sensitive act calls `require_fresh(caller, now)`; the page then asks for a
proof (people/proofs.py) and sends the request once more.
"""

from datetime import datetime, timedelta

from people.refused import Refused
from people.sessions import Caller

FRESH = timedelta(minutes=5)


class StepUpNeeded(Refused):
    """Whoever asks has not proved lately to be the person: prove again, then ask again."""

    status = 403
    code = "step_up_needed"


class WrongProof(Refused):
    """A password, code, passkey or card that does not fit. It counts, so it must be committed."""

    status = 403
    code = "wrong_proof"
    keeps_writes = True


class EnrolmentNeeded(Refused):
    """This session may make a second factor and nothing else."""

    status = 403
    code = "enrolment_needed"


def require_fresh(caller: Caller, now: datetime) -> None:
    """Refuse (StepUpNeeded) when the session's last proof, or sign-in, is too long ago."""
    if now - caller.proved_at > FRESH:
        raise StepUpNeeded
