"""API credentials, signing keys and access tokens."""
