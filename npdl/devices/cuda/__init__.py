"""GPUs: arrays in their memory, kernels compiled for them, and a driver that needs none (stand_in/)."""
