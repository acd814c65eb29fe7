"""The version of this package, as pyproject.toml has it, and those of others."""

from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0.dev0"


def installed_version(package: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
