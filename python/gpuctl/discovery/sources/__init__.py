"""One module for each vendor tool: text in, a `Reading` out. None of them runs anything."""
