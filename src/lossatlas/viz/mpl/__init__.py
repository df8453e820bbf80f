"""How each kind of pane is drawn with matplotlib, one file a kind; `lossatlas.viz.mpl.figure` puts them together."""
