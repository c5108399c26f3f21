"""How the parts are put together: settings, processes, addresses."""
