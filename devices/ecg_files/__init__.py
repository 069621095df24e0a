"""ECG recordings in the files that recorders and telephones make.

`read` knows a file by what is in it, never by its name; `write` of the modules wfdb and edf writes
what was read. The libraries that read EDF+ and DICOM are loaded when they are needed, and only a
confined child should need them.
"""

from devices.ecg_files.model import BadFile, EcgRecording, Fault, Lead, Mark
from devices.ecg_files.reading import Format, format_of, read

__all__ = ["BadFile", "EcgRecording", "Fault", "Format", "Lead", "Mark", "format_of", "read"]
