"""What the bits of a status mean for a reading: flags kept beside it, or no reading at all.

A bit of glucose.py, cgm.py or oximeter.py that stands in no table says nothing against the value.
"""

from collections.abc import Mapping

from devices.gatt.cgm import SensorStatus
from devices.gatt.glucose import GlucoseStatus
from devices.gatt.oximeter import Sensor, Status
from devices.measurement import DeviceFlag, NoReading

Table = Mapping[int, DeviceFlag]

METER: Table = {
    GlucoseStatus.BATTERY_LOW: DeviceFlag.BATTERY_LOW,
    GlucoseStatus.SENSOR_FAULT: DeviceFlag.SENSOR_FAULT,
    GlucoseStatus.SAMPLE_TOO_SMALL: DeviceFlag.SAMPLE_TOO_SMALL,
    GlucoseStatus.STRIP_INSERTION: DeviceFlag.STRIP_FAULT,
    GlucoseStatus.STRIP_TYPE: DeviceFlag.STRIP_FAULT,
    GlucoseStatus.STRIP_PULLED: DeviceFlag.STRIP_FAULT,
    GlucoseStatus.RESULT_TOO_HIGH: DeviceFlag.ABOVE_SCALE,
    GlucoseStatus.RESULT_TOO_LOW: DeviceFlag.BELOW_SCALE,
    GlucoseStatus.TOO_HOT: DeviceFlag.TOO_HOT,
    GlucoseStatus.TOO_COLD: DeviceFlag.TOO_COLD,
    GlucoseStatus.GENERAL_FAULT: DeviceFlag.DEVICE_FAULT,
    GlucoseStatus.TIME_FAULT: DeviceFlag.TIME_FAULT,
}
MEALS: Table = {
    1: DeviceFlag.BEFORE_MEAL,
    2: DeviceFlag.AFTER_MEAL,
    3: DeviceFlag.FASTING,
    5: DeviceFlag.BEDTIME,
}
SENSOR: Table = {
    SensorStatus.SESSION_STOPPED: DeviceFlag.SESSION_STOPPED,
    SensorStatus.BATTERY_LOW: DeviceFlag.BATTERY_LOW,
    SensorStatus.WRONG_SENSOR_TYPE: DeviceFlag.SENSOR_FAULT,
    SensorStatus.MALFUNCTION: DeviceFlag.SENSOR_FAULT,
    SensorStatus.DEVICE_ALERT: DeviceFlag.DEVICE_FAULT,
    SensorStatus.GENERAL_FAULT: DeviceFlag.DEVICE_FAULT,
    SensorStatus.TIME_SYNC_NEEDED: DeviceFlag.TIME_FAULT,
    SensorStatus.CALIBRATION_REQUIRED: DeviceFlag.CALIBRATION_NEEDED,
    SensorStatus.TOO_HOT: DeviceFlag.TOO_HOT,
    SensorStatus.TOO_COLD: DeviceFlag.TOO_COLD,
    SensorStatus.BELOW_RANGE: DeviceFlag.BELOW_SCALE,
    SensorStatus.ABOVE_RANGE: DeviceFlag.ABOVE_SCALE,
}
NEVER = (
    (Status.DEMONSTRATION | Status.TEST, NoReading.TEST_DATA),
    (Status.CALIBRATING, NoReading.CALIBRATING),
    (Status.UNAVAILABLE, NoReading.NOT_AVAILABLE),
    (Status.INVALID, NoReading.INVALID),
)
OFF = Sensor.OFF_BODY | Sensor.DISCONNECTED
MEASURING: Table = {
    Status.EARLY_ESTIMATE: DeviceFlag.EARLY_ESTIMATE,
    Status.FROM_STORAGE: DeviceFlag.FROM_MEMORY,
    Status.QUESTIONABLE: DeviceFlag.QUESTIONABLE,
}
PROBE: Table = {
    Sensor.MALFUNCTION: DeviceFlag.DEVICE_FAULT,
    Sensor.SENSOR_FAULT: DeviceFlag.SENSOR_FAULT,
    Sensor.SIGNAL_INADEQUATE: DeviceFlag.WEAK_SIGNAL,
    Sensor.SIGNAL_POOR: DeviceFlag.WEAK_SIGNAL,
    Sensor.PERFUSION_LOW: DeviceFlag.WEAK_SIGNAL,
    Sensor.ERRATIC: DeviceFlag.WEAK_SIGNAL,
    Sensor.NOT_PULSATILE: DeviceFlag.WEAK_SIGNAL,
    Sensor.PROCESSING_IRREGULAR: DeviceFlag.QUESTIONABLE,
    Sensor.PULSE_QUESTIONABLE: DeviceFlag.QUESTIONABLE,
    Sensor.INTERFERENCE: DeviceFlag.QUESTIONABLE,
    Sensor.UNKNOWN_SENSOR: DeviceFlag.QUESTIONABLE,
    Sensor.DISPLACED: DeviceFlag.QUESTIONABLE,
}


def named(bits: int, table: Table) -> set[DeviceFlag]:
    """The flags of the bits that are set."""
    return {flag for bit, flag in table.items() if bits & bit}
