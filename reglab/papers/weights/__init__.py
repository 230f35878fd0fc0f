"""Papers of the part *Weights*."""
