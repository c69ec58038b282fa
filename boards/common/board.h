// What every ESP32 board of this product shares: MicroPython's features that it does without, and
// its sizes. A variant sets what it needs otherwise with MICROPY_DEF_BOARD.

// No Bluetooth. That Bluetooth is off in ESP-IDF too frees the most: see board.md.
#define MICROPY_PY_BLUETOOTH                (0)

// No ESP-NOW: everything goes over TCP/IP.
#define MICROPY_PY_ESPNOW                   (0)

// No SD card: the filesystem is in the chip's flash.
#define MICROPY_HW_ENABLE_SDCARD            (0)

// Only the variants for boards with Ethernet have network.LAN.
#ifndef MICROPY_PY_NETWORK_LAN
#define MICROPY_PY_NETWORK_LAN              (0)
#endif

// Modules import each other some twelve deep from main.py on, which takes up to about 1 KiB of
// stack each; the port's 16 KiB leave no room for what the innermost one does. Costs 8 KiB of RAM.
#define MICROPY_TASK_STACK_SIZE             (24 * 1024)

// Places in the cache of where a name was found last; each is a byte of RAM. A request looks up
// some hundred different names, of which MicroPython's default of 128 lose many to one another.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE   (512)

// Bytes of the system heap that Python's heap may not grow into. In a stall with ten clients lwIP's
// and Wi-Fi's buffers have been seen to take 65 to 70 KB. With PSRAM it is so much of the PSRAM,
// and all of the internal memory. See ports_patch/esp32-heap-reserve.patch.
#ifndef MICROPY_GC_SYSTEM_RESERVE
#define MICROPY_GC_SYSTEM_RESERVE           (72 * 1024)
#endif
