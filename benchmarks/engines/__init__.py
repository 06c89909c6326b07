"""What each engine does for a row.

An engine is a module with

    OPERATIONS      name -> function(**options) that gives {configuration: call}: ways of doing the same thing, of which
                    the fastest counts; `call()` does it once
    set_threads(n)
    use(device)     work on "cpu" or "cuda" from now on; returns a function (call, repeats) -> seconds that times calls
                    there by the device's own events, None for the processor
    set_tf32(on)    whether products on a GPU may round their factors
    about()         what runs, as {"name": ..., "version": ..., ...}; raises RuntimeError where it must not be measured
"""
