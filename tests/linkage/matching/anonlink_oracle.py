"""anonlink, without the warning that it gives when it is imported."""

import warnings

with warnings.catch_warnings():
    # anonlink imports pkg_resources, which says that it will go.
    warnings.simplefilter("ignore")
    import anonlink

__all__ = ["anonlink"]
