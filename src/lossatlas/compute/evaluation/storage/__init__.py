"""A surface on disk: its provenance and identity, its writer, and how a stopped run continues."""
