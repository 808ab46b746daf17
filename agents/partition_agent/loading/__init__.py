"""How a sub-model comes into memory with the smallest peak: optimised ahead in a process that ends, then mapped."""
