"""A home device as a FHIR Device, both ways."""

from typing import Final

import msgspec

from devices.fhir.observations import BadObservation
from devices.fhir.structs import (
    MDC,
    MDC_OID,
    UUIDS,
    CodeableConcept,
    Coding,
    Device,
    DeviceName,
    DeviceVersion,
    Identifier,
    Reference,
    Specialization,
)
from devices.kinds import Kind

# ISO/IEEE 11073-10101, what a device specialises in (MDC_DEV_SPEC_PROFILE_...).
_SPECIAL: Final = {
    Kind.SPO2: ("528388", "Pulse oximeter"),
    Kind.BLOOD_PRESSURE: ("528391", "Blood pressure monitor"),
    Kind.TEMPERATURE: ("528392", "Thermometer"),
    Kind.WEIGHT: ("528399", "Weighing scale"),
    Kind.GLUCOSE: ("528401", "Glucose meter"),
    Kind.CGM_GLUCOSE: ("528409", "Continuous glucose monitor"),
}
_KINDS: Final = {code: kind for kind, (code, _) in _SPECIAL.items()}


class HomeDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What we know of a device: the name its owner gave, and what it says of itself."""

    id: str
    name: str
    kinds: tuple[Kind, ...] = ()
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    active: bool = True


def device(home: HomeDevice, *, patient: Reference | None = None) -> Device:
    """A device as others read it."""
    names = [DeviceName(name=home.name, type="user-friendly-name")]
    if home.model is not None:
        names.append(DeviceName(name=home.model, type="model-name"))
    return Device(
        id=home.id,
        identifier=(Identifier(system=UUIDS, value=f"urn:uuid:{home.id}"),),
        status="active" if home.active else "inactive",
        manufacturer=home.maker,
        serial_number=home.serial,
        device_name=tuple(names),
        model_number=home.model,
        specialization=tuple(
            Specialization(system_type=_concept(*_SPECIAL[kind]))
            for kind in home.kinds
            if kind in _SPECIAL
        ),
        version=() if home.firmware is None else (DeviceVersion(value=home.firmware),),
        patient=patient,
    )


def _concept(code: str, display: str) -> CodeableConcept:
    return CodeableConcept(coding=(Coding(system=MDC, code=code, display=display),), text=display)


def home_device(found: Device) -> HomeDevice:
    """What a Device tells; raises BadObservation for one without a name or number."""
    names = {name.type: name.name for name in found.device_name}
    name = names.get("user-friendly-name") or next(iter(names.values()), None) or found.model_number
    number = next((one.value for one in found.identifier if one.value), found.id)
    if name is None or number is None:
        raise BadObservation("name_missing", "deviceName")
    kinds = dict.fromkeys(
        _KINDS[coding.code]
        for special in found.specialization
        for coding in special.system_type.coding
        if coding.system in {MDC, MDC_OID} and coding.code in _KINDS
    )
    return HomeDevice(
        id=number.removeprefix("urn:uuid:"),
        name=name,
        kinds=tuple(kinds),
        maker=found.manufacturer,
        model=found.model_number or names.get("model-name"),
        serial=found.serial_number,
        firmware=next((version.value for version in found.version), None),
        active=found.status != "inactive",
    )
