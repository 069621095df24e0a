"""MODELS is a table: a device with quirks of its own is a row. Everything else is `ANY`.

`names` are beginnings of the advertised name or of the Model Number 0x2A24; the longest one that
fits decides. `tried` says against what: a capture (bytes a real device sent, published), a report
(its users say it follows the standard) or nothing yet; `source` says where that stands.
"""

from enum import StrEnum

import msgspec

from devices.gatt.payload import TOLERANT, Quirks


class Tried(StrEnum):
    """What a row rests on."""

    CAPTURE = "capture"
    REPORT = "report"
    NOT_YET = "not_yet"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model, or one family that behaves alike."""

    name: str
    maker: str
    names: tuple[str, ...] = ()
    quirks: Quirks = TOLERANT
    tried: Tried
    source: str


def _tolerant(**quirks: bool) -> Quirks:
    return msgspec.structs.replace(TOLERANT, **quirks)


# Follows the standard, or nearly: what a row need not say.
ANY = Model(
    name="any other", maker="", tried=Tried.REPORT, source="GATT specifications; tolerant reading"
)

MODELS: tuple[Model, ...] = (
    Model(
        name="BM 85",
        maker="Beurer",
        names=("BM85", "BM 85"),
        quirks=_tolerant(swapped_pulse_status=True, user_without_flag=True),
        tried=Tried.CAPTURE,
        source="four recordings: github derdilla/blood-pressure-monitor-fl, pulls 735 and 737",
    ),
    Model(
        # A failed measurement is 0x07FF three times over, and no bit of the status says so.
        name="X2 Smart+, X4 Smart and other cuffs with the standard service",
        maker="Omron",
        names=("BLEsmart_", "X2 Smart", "X4 Smart"),
        tried=Tried.CAPTURE,
        source="good and failed ones: github derdilla/blood-pressure-monitor-fl, issue 80",
    ),
    Model(
        # Sample type 8 (undetermined plasma), place 15 (unknown), a context after each record.
        name="Accu-Chek Guide",
        maker="Roche",
        names=("Accu-Chek", "meter+"),
        tried=Tried.CAPTURE,
        source="one record: github innoveit/react-native-ble-manager, issue 1162",
    ),
    Model(
        name="BU 530, 570, 572, 580, 584",
        maker="Medisana",
        names=("BU 5", "BU5"),
        tried=Tried.REPORT,
        source="github bkbilly/medisanabp_ble, issues 1 and 4",
    ),
    Model(
        # Users of such devices name no model: chosen by hand in the gateway's settings.
        name="any that sends IEEE 754 floats",
        maker="",
        names=("IEEE",),
        quirks=_tolerant(ieee_floats=True),
        tried=Tried.REPORT,
        source="github weliem/bluez_inc, pull 43",
    ),
)

_BY_NAME = sorted(
    ((name.casefold(), model) for model in MODELS for name in model.names),
    key=lambda row: -len(row[0]),
)


def find(name: str) -> Model:
    """The row of the device that calls itself so, or `ANY`."""
    called = name.strip().casefold()
    return next((model for start, model in _BY_NAME if called.startswith(start)), ANY)
