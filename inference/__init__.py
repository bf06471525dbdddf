"""What runs in and around tritonserver: the launcher and the Python-based backends."""

import sys

# With this package, OpenVINO and NNCF report each use to Google Analytics, and leave an identifier
# in the user's home. To this process, it is not installed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
