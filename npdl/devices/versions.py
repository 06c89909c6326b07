"""Versions of installed distributions."""


def version(name):
    """The version of an installed distribution, None where there is none."""
    import importlib.metadata  # an eighth of the time of `import npdl`

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
