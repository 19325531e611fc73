"""What was measured, on disk: records, their evidence and provenance."""
