"""Janus (Debian's package) as the media engine, driven over its HTTP API; docs/media.md has why."""
