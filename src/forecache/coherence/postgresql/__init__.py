"""PostgreSQL's commits: read from its log or from notes of triggers, and what the database needs for that."""
