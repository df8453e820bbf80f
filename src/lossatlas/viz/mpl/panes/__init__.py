"""One kind of pane a file, drawn with matplotlib."""
