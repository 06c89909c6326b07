import sys

if __name__ == "__main__":  # worker processes import this file too
    from benchmarks.command import main

    sys.exit(main())
