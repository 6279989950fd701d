"""What is in files of showers, and the configuration that they suggest."""
