"""HTTP: the Edge Network protocol and the admin API."""
