"""Home devices by Bluetooth, to the server: for a home computer or a health post's tablet.

python -m devices.gateway --help

link.py      what the gateway asks of a radio; radio.py answers with bleak
exchange.py  one connection to one device: subscribe, download what it remembers
reading.py   from bytes to readings, by the decoders of devices.gatt
buffer.py    what was heard, on disk, until the server has it (SQLite, survives a power cut)
running.py   the loop: listen, connect, keep, send
cli.py       add a device, run, look at the state
"""
