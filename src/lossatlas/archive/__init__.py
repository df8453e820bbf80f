"""One Zarr group: surfaces, planes and trajectories on disk, and the lock that lets one process write."""

from lossatlas.archive.archive import Archive, Location
from lossatlas.archive.opening import as_archive, open_archive, same_place

__all__ = ["Archive", "Location", "as_archive", "open_archive", "same_place"]
