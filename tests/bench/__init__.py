"""Figures that `make bench` measures: ratios, counts and shares of one run, never times that a test would assert."""

from __future__ import annotations

import os
import warnings

# The bench starts processes beside open channels, on which gRPC's core would comment each time.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# The packaged PostgreSQL looks for a runtime directory when it is imported; the fallback is good.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
