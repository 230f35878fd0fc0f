"""What the papers on weights share."""
