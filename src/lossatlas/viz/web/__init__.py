"""The browser page, the notebook widget and the live server."""
