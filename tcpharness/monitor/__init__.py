"""The monitors under test: running them, reading what they write. Edge."""
