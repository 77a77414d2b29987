"""Hand-picked mutations of the service, each with the test that must notice it."""
