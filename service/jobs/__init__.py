"""Coarse background work, keyed so that nothing is enqueued twice."""
