"""Papers on noise and augmentation."""
