"""The part of FHIR R4 that readings and devices need, as Structs: what is sent, what is read.

What others send beside it (text, meta, contained) is passed over when read. Times stay text until
somebody reads them: a FHIR date may be only a year.
"""

from typing import Annotated, Final, Literal

import msgspec

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
# ISO/IEEE 11073-10101, as the device guide names it; the R4 example has it as an OID.
MDC: Final = "urn:iso:std:iso:11073:10101"
MDC_OID: Final = "urn:oid:2.16.840.1.113883.6.24"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
NAMESPACE: Final = "http://hl7.org/fhir/StructureDefinition/"
UUIDS: Final = "urn:ietf:rfc:3986"

MOST_ENTRIES: Final = 100_000
# Nothing of a home device is longer: a hostile file must not make us hold more.
Text = Annotated[str, msgspec.Meta(max_length=1024)]
# 30 s of twelve leads fit easily; an hour of one lead at 500 Hz as well.
Samples = Annotated[str, msgspec.Meta(max_length=16_000_000)]


class Element(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False
):
    """What all have in common: nothing is written that was not given."""


class Coding(Element, frozen=True, kw_only=True):
    """A code of a system."""

    system: Text | None = None
    code: Text | None = None
    display: Text | None = None


class CodeableConcept(Element, frozen=True, kw_only=True):
    """One thing in several codes, and in words."""

    coding: tuple[Coding, ...] = ()
    text: Text | None = None


class Quantity(Element, frozen=True, kw_only=True):
    """A number with its unit: `unit` for the eye, `code` (UCUM) for programs."""

    value: int | float | None = None
    comparator: Literal["<", "<=", ">=", ">"] | None = None
    unit: Text | None = None
    system: Text | None = None
    code: Text | None = None


class Identifier(Element, frozen=True, kw_only=True):
    """A name of a thing in somebody's numbering."""

    system: Text | None = None
    value: Text | None = None


class Reference(Element, frozen=True, kw_only=True):
    """Another resource."""

    reference: Text | None = None
    identifier: Identifier | None = None
    display: Text | None = None


class Period(Element, frozen=True, kw_only=True):
    """From when to when."""

    start: Text | None = None
    end: Text | None = None


class Annotation(Element, frozen=True, kw_only=True):
    """A remark in words."""

    text: Text


class Extension(Element, frozen=True, kw_only=True):
    """What the standard has no place for."""

    url: Text
    value_code: Text | None = None


class SampledData(Element, frozen=True, kw_only=True):
    """A wave: value = origin + number * factor; E error, L and U beyond the limits told here."""

    origin: Quantity
    # Milliseconds between samples (R4; the next version has another name for it).
    period: int | float
    factor: int | float | None = None
    lower_limit: int | float | None = None
    upper_limit: int | float | None = None
    dimensions: int
    data: Samples | None = None


class Component(Element, frozen=True, kw_only=True):
    """One part of an observation."""

    code: CodeableConcept
    value_quantity: Quantity | None = None
    value_sampled_data: SampledData | None = None
    data_absent_reason: CodeableConcept | None = None


class Meta(Element, frozen=True, kw_only=True):
    """Which rules a resource says it follows."""

    profile: tuple[Text, ...] = ()


class Observation(Element, frozen=True, kw_only=True, tag_field="resourceType", tag="Observation"):
    """Something measured."""

    id: Text | None = None
    meta: Meta | None = None
    extension: tuple[Extension, ...] = ()
    identifier: tuple[Identifier, ...] = ()
    status: Text
    category: tuple[CodeableConcept, ...] = ()
    code: CodeableConcept
    subject: Reference | None = None
    effective_date_time: Text | None = None
    effective_instant: Text | None = None
    effective_period: Period | None = None
    issued: Text | None = None
    value_quantity: Quantity | None = None
    value_sampled_data: SampledData | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    note: tuple[Annotation, ...] = ()
    device: Reference | None = None
    component: tuple[Component, ...] = ()


class DeviceName(Element, frozen=True, kw_only=True):
    """What a device is called, and by whom."""

    name: Text
    type: Literal[
        "udi-label-name",
        "user-friendly-name",
        "patient-reported-name",
        "manufacturer-name",
        "model-name",
        "other",
    ]


class Specialization(Element, frozen=True, kw_only=True):
    """What kind of measuring a device can do."""

    system_type: CodeableConcept
    version: Text | None = None


class DeviceVersion(Element, frozen=True, kw_only=True):
    """A version of its firmware or hardware."""

    value: Text
    type: CodeableConcept | None = None


class Device(Element, frozen=True, kw_only=True, tag_field="resourceType", tag="Device"):
    """A thing that measures."""

    id: Text | None = None
    identifier: tuple[Identifier, ...] = ()
    status: Literal["active", "inactive", "entered-in-error", "unknown"] | None = None
    manufacturer: Text | None = None
    serial_number: Text | None = None
    device_name: tuple[DeviceName, ...] = ()
    model_number: Text | None = None
    type: CodeableConcept | None = None
    specialization: tuple[Specialization, ...] = ()
    version: tuple[DeviceVersion, ...] = ()
    patient: Reference | None = None


class Entry(Element, frozen=True, kw_only=True):
    """One resource of a bundle, as it came: most kinds are none of ours."""

    full_url: Text | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class PageLink(Element, frozen=True, kw_only=True):
    """Another page of an answer; `relation` says which."""

    relation: str
    url: str


class Page(Element, frozen=True, kw_only=True, tag_field="resourceType", tag="Bundle"):
    """Some of what was searched for, as it is written; nobody's page is read."""

    type: Literal["searchset"]
    link: tuple[PageLink, ...] = ()
    entry: tuple[Entry, ...] = ()


class Bundle(Element, frozen=True, kw_only=True, tag_field="resourceType", tag="Bundle"):
    """Several resources at once."""

    type: Text
    timestamp: Text | None = None
    entry: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=MOST_ENTRIES)] = ()
