"""tcpharness proves whether TCP monitoring sees what it should."""

__version__ = "0.1.0"
