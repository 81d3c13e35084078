"""Edge: namespaces, links, firewall, endpoints, the forwarding loop, tcpdump, kernel counters."""
