"""Segment rules, their compiler, evaluation and memberships."""
