"""What torch is slow at, written for the machine: each function has a body in C or Triton and one in plain torch."""
