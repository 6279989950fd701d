"""Comparing two samples of showers: distances with errors and floors."""
