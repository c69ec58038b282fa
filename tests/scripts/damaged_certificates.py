"""Keys with bytes changed and cut: looking for the public part fails in two ways only."""

import random
import sys

from device.routes.certificate import public_part

random.seed(1)
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        key = file.read()
    assert public_part(key)
    for size in range(len(key)):
        variants = [key[:size]]
        for _ in range(20):
            damaged = bytearray(key)
            damaged[size] = random.getrandbits(8)
            damaged[random.randrange(len(key))] = random.getrandbits(8)
            variants.append(bytes(damaged))
        for variant in variants:
            try:
                public_part(variant)
            except (IndexError, ValueError):
                pass
print("done")
