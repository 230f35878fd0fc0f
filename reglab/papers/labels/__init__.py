"""Papers of the part *Labels and targets*."""
