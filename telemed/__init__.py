"""Visits, readings, ECG streams and notes: what happens between a doctor and a patient."""
