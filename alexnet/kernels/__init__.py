"""What torch is slow at, written for the machine: each function has a body in C and one in plain torch."""
