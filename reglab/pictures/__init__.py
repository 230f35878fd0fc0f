"""What results look like, on a page and in a live figure."""
