"""How each kind of pane is drawn with matplotlib, one file a kind; `lossatlas.view.matplotlib` puts them together."""
