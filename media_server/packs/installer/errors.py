"""The one error of the installer."""

__all__ = ["BundleError"]


class BundleError(Exception):
    """A bundle that cannot be used, or an installation that cannot be done; the message is a sentence."""
