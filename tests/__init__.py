"""Tests tell stories: given, when, then. Real PostgreSQL, a real broker, real sockets."""
