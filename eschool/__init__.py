"""Schools: classes and lessons."""
