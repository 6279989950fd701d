"""The validation report: criteria, plots, pages."""
