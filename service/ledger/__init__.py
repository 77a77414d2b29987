"""Appended counts of people and deliveries, and their balance."""
