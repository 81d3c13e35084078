"""Peers without a kernel: a script against what comes. Pure."""
