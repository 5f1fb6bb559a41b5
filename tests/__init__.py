"""Tests, benchmarks, the simulated world and the local stack."""

import os

# scikit-learn's threads wait for each other by spinning (GNU OpenMP's default). Where other processes want the cores too, a fit
# of one second took two hundred; threads that sleep meanwhile take three. Read when OpenMP is loaded, so it stands before all.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
