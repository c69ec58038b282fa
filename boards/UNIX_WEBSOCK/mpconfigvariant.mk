# The host board, a variant of MicroPython's unix port.

# The firmware uses asyncio alone. Without threads the interpreter needs no locks round its heap,
# and KeyboardInterrupt can wait for a point where the program can take it.
MICROPY_PY_THREAD = 0

# As the ESP32 port does: about a tenth faster than -Os.
COPT = -O2

# Certificates and keys in PEM, as ESP-IDF's mbedTLS takes them; MicroPython's own configuration has
# it after v1.28. Defined as nothing, as it is there: the same definition twice is allowed.
CFLAGS += -DMBEDTLS_PEM_PARSE_C= -DMBEDTLS_BASE64_C=
