"""What the promises look like while things break: faults injected into real processes, and a judge of what was seen."""
