"""The paper in PyTorch: networks, data, training. Knows nothing of claims, records or reports."""
