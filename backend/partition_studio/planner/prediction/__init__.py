"""What a plan will do: throughput, latency, energy and memory, from figures to a prediction."""
