"""The phone: it knows the service only over HTTP."""
