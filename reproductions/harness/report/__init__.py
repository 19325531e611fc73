"""From verdicts to pages, tables and figures."""
