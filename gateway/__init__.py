"""The web side of EdgeLens: pictures in over HTTP, labels out."""
