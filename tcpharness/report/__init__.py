"""Pure: a finished run as terminal text, JSON and JUnit."""
