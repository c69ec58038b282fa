# The host board: simulated hardware, the program's entry point, and what measuring needs.
import base64
import os
import random
import sys

freeze("modules")

# Assets below /bench/, packed like the page's and the same in every build: 30,000 bytes that don't
# compress, and text that takes about 90,000 compressed and 120,000 inflated.
sys.path.append(os.path.abspath("../../ci"))
from common import write_if_changed
from pack_assets import module_text, pack

random_bytes = random.Random(30000).randbytes
files = {"30k": random_bytes(30_000), "90k.txt": base64.b64encode(random_bytes(89_500))}
write_if_changed("../../build/bench/bench_assets.py", module_text(pack(files)).encode())
freeze("../../build/bench", "bench_assets.py")
