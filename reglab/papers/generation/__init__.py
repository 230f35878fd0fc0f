"""Papers on generative models."""
