"""Kills its own process at a chosen step, as ``kill -9`` does, once."""
