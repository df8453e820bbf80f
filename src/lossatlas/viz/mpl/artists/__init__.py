"""Parts of a pane drawn with matplotlib."""
