"""Persons, organisations, who may do what, sign-in, and the one way to health tables."""
