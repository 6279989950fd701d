"""Files of showers: reading, checking, preparing and writing them."""
