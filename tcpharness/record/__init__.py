"""What a monitor has written, as records, and records as findings. Pure."""
