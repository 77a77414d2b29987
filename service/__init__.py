"""edgepost."""
