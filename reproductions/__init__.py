"""The claims of the paper, one file each, and the command line that runs and judges them."""
