"""One Zarr group: surfaces, planes and trajectories on disk, and the lock that lets one process write."""

from lossatlas.archive.archive import Archive, Location, create_archive, open_archive

__all__ = ["Archive", "Location", "create_archive", "open_archive"]
