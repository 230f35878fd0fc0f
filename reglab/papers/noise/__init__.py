"""Papers of the part *Noise and augmentation*."""
