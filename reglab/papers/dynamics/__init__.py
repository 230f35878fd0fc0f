"""Papers on dynamics, transport and theory."""
