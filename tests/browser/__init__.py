"""The real Web SDK in a real browser, over TLS, against real processes of the service."""
