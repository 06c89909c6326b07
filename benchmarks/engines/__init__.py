"""What each engine does for a row.

An engine is a module with

    OPERATIONS      name -> function(**options) that gives {configuration: call}: ways of doing the same thing, of which
                    the fastest counts; `call()` does it once
    set_threads(n)
    about()         what runs, as {"name": ..., "version": ..., ...}; raises RuntimeError where it must not be measured
"""
