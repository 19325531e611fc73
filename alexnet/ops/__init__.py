"""The operations of the paper, one file each; the C body of one beside it."""
