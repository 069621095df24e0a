"""Requests and incidents with deadlines, service catalogue, heat map: not built yet."""
