"""Fragments, merged profiles, push tokens, consents and events."""
