"""The objective that a command names: loaded, with arguments of its function, and adjusted by options."""
