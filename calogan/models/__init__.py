"""The networks: conditioning, preprocessing, generator, critic."""
