"""What the standard Bluetooth characteristics say, both ways: one file a characteristic.

Every `decode(data, *, quirks=STRICT)` gives a frozen Struct or raises `payload.BadPayload`, never
anything else; every `encode` gives the bytes back. Layouts: Bluetooth SIG GATT specifications.
"""
