"""Whatever bytes come: a recording or BadFile, and soon; never anything else."""

import io
import time

import numpy as np
import pytest
from dicom_maker import dicom
from ecg_file_makers import APPLE, aecg, atc, recording, scp, summed, wave
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.ecg_files import BadFile, EcgRecording, Mark, edf, read, wfdb

GOOD = {
    "wfdb": wfdb.write(recording(120, marks=(Mark(3, "N", "x"),))),
    "edf": edf.write(recording(400, marks=(Mark(3, "N"),))),
    "dicom": dicom(wave(120, 2)),
    "aecg": aecg(wave(120, 2)),
    "scp": scp(wave(120, 2) // 8),
    "atc": atc([wave(120, 1)[:, 0]]),
    "apple": APPLE.encode(),
}
LIMIT_S = 2.0
_SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def judged(data: bytes) -> EcgRecording | None:
    started = time.process_time()  # others share the machine
    try:
        return read(io.BytesIO(data))
    except BadFile:
        return None
    finally:
        assert time.process_time() - started < LIMIT_S


@pytest.mark.parametrize("form", GOOD)
@_SETTINGS
@given(data=st.data())
def test_a_file_with_changed_bytes_is_read_or_refused(form: str, data: st.DataObject) -> None:
    whole = bytearray(GOOD[form])
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    # What only its sums would give away is judged by what it says, too.
    data_ = summed(bytes(whole)) if form in {"scp", "atc"} else bytes(whole)
    found = judged(data_)
    assert found is None or found.samples.dtype == np.int16


@pytest.mark.parametrize("form", GOOD)
@_SETTINGS
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused_or_was_whole(form: str, data: st.DataObject) -> None:
    whole = GOOD[form]
    cut = data.draw(st.integers(0, len(whole) - 1))
    found = judged(whole[:cut])
    # Only lines of a CSV can go without anybody knowing.
    assert found is None or form == "apple"


@_SETTINGS
@given(st.sampled_from([*(data[:140] for data in GOOD.values()), b""]), st.binary(max_size=400))
def test_any_bytes_behind_a_known_head_are_read_or_refused(head: bytes, rest: bytes) -> None:
    judged(head + rest)
