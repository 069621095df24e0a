"""Readings and what stands around them in the tests of FHIR."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from devices.fhir.structs import Reference
from devices.kinds import KINDS, Kind
from devices.measurement import DeviceFlag, Measurement

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
PATIENT = Reference(reference="Patient/2f6e4a7c")
DEVICE = Reference(reference="Device/9b10", display="Тонометр")


@st.composite
def readings(draw: st.DrawFn) -> Measurement:
    """Any reading a device may send, within the possible limits of its unit."""
    row = KINDS[draw(st.sampled_from(Kind))]
    unit = draw(st.sampled_from(row.units)).code
    values = {}
    for quantity in row.quantities:
        if quantity.required or draw(st.booleans()):
            limits = quantity.limits[quantity.own_unit or unit]
            values[quantity.name] = draw(st.floats(limits.low, limits.high))
    if row.kind is Kind.BLOOD_PRESSURE and values["systolic"] <= values["diastolic"]:
        values["systolic"] = values["diastolic"] + 1
    return Measurement(
        kind=row.kind,
        sequence=draw(st.integers(0, 2**53 - 1)),
        taken_at=draw(
            st.datetimes(datetime(2025, 6, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001
        ),
        values=values,
        unit=unit,
        flags=tuple(draw(st.lists(st.sampled_from(DeviceFlag), max_size=4, unique=True))),
    )
