"""Charts of the last days, drawn on the server, each with its table beside it."""
