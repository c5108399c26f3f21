"""The analytic reports: what happened to payments over some days, as tables, plots and downloads."""
