"""Drawing what was computed elsewhere: each function takes numbers and returns a figure."""
