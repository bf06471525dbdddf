"""What runs in and around tritonserver: the launcher and the Python-based backends."""
