"""Streaming ingestion: known profiles and events from servers, by ``POST /collection``."""
