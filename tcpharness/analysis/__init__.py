"""Pure: flows and their state, the detectors, findings."""
