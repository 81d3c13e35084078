"""Pure: pcap files and bytes <-> segments, checksums, the one-line notation."""
