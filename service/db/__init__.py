"""Engine, session, types and set statements for PostgreSQL and SQLite."""
