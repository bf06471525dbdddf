"""The tritonserver process: found, given its backends and ports, started, and cleaned up after."""
