# For Espressif's QEMU: no Wi-Fi, and network.LAN over the emulator's network card, which needs
# ports_patch/esp32-lan-openeth.patch.
list(APPEND SDKCONFIG_DEFAULTS ${WEBSOCK_COMMON}/sdkconfig.qemu)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock in QEMU"
    MICROPY_PY_NETWORK_LAN=1
    MICROPY_PY_NETWORK_WLAN=0
)
