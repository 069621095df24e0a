"""FHIR R4: readings and devices as other programs exchange them, both ways, by msgspec Structs."""
