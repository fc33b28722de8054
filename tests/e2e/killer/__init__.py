"""Kills its own process as ``kill -9`` does: at a chosen step, or at random moments of a worker's tasks."""
