"""npdl beside PyTorch, on the CPU: `python -m benchmarks`. How it measures is told in benchmarks/README.md."""
