"""One file per wire format, all of one shape."""
