# Boards with an Ethernet PHY on the chip's own controller (RMII), beside Wi-Fi: Olimex ESP32-POE,
# WT32-ETH01, wESP32 and the like. Which PHY and pins is in app.json, see docs/firmware.md. Costs
# some 30 KiB of flash, and RAM only when network.LAN is made.
list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock with Ethernet"
    MICROPY_PY_NETWORK_LAN=1
)
