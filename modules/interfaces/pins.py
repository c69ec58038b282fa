"""Which pins of a chip are for interfaces: the others belong to its flash, its console or nobody.

Sources: the datasheets' pin tables (ESP32 section 2.2 and 2.4, ESP32-S3 section 2.3, ESP32-C3
section 2.2) and ESP-IDF's GPIO and ADC pages for each chip.
"""

# first, last, whose they are
_ESP32 = (
    (0, 0, "the BOOT button"),
    (1, 1, "the console"),
    (3, 3, "the console"),
    (6, 11, "the flash chip"),
)
_ESP32_PSRAM = ((16, 17, "the PSRAM"),)
_ESP32_S3 = (
    (0, 0, "the BOOT button"),
    (19, 20, "USB"),
    (26, 32, "the flash chip"),
    (43, 44, "the console"),
)
_ESP32_S3_OCTAL = ((33, 37, "the PSRAM"),)
_ESP32_C3 = (
    (9, 9, "the BOOT button"),
    (11, 17, "the flash chip"),
    (18, 19, "USB"),
    (20, 21, "the console"),
)

# Of the Ethernet MAC in the ESP32, beside those that its settings name.
_RMII = (19, 21, 22, 25, 26, 27)

# Numbers that are no pins; the highest; from which on there are inputs only; analog inputs that
# work beside Wi-Fi, which has the other converter; transmitter and receiver of UART 1 and 2.
_CHIPS = {
    "ESP32": ((20, 24, 28, 29, 30, 31), 39, 34, (32, 39), ((26, 25), (17, 16))),
    "ESP32S3": ((22, 23, 24, 25), 48, 49, (1, 10), ((17, 18), (15, 16))),
    "ESP32C3": ((), 21, 22, (0, 4), ((6, 7),)),
}


def chip_of(machine):
    """The chip that `machine`, as of sys.implementation._machine, names: a key of _CHIPS."""
    name = machine.rpartition(" with ")[2]
    return name if name in _CHIPS else "ESP32"


def _reserved(machine):
    chip = chip_of(machine)
    psram = "SPIRAM" in machine
    if chip == "ESP32S3":
        return _ESP32_S3 + _ESP32_S3_OCTAL if "Octal" in machine else _ESP32_S3
    if chip == "ESP32C3":
        return _ESP32_C3
    return _ESP32 + _ESP32_PSRAM if psram else _ESP32


def refusal(machine, kind, number):
    """Why an interface can't have this part of the chip, "" when it can.

    Args:
        machine: sys.implementation._machine.
        kind: "pin", "output", "adc" or "uart".
        number: of the GPIO or the UART.
    """
    none, last, inputs_from, adc, uarts = _CHIPS[chip_of(machine)]
    if kind == "uart":
        if number == 0:
            return "UART 0 is the console"
        return "" if number <= len(uarts) else f"there is no UART {number}"
    if number in none or number > last:
        return f"there is no GPIO {number}"
    for first, last, owner in _reserved(machine):
        if first <= number <= last:
            return f"GPIO {number} belongs to {owner}"
    if kind == "output" and number >= inputs_from:
        return f"GPIO {number} is an input only"
    if kind == "adc" and not adc[0] <= number <= adc[1]:
        return f"GPIO {number} is no analog input beside Wi-Fi: GPIO {adc[0]} to {adc[1]} are"
    return ""


def uart_pins(machine, number):
    """The pins that a UART has when nothing says others: transmitter, receiver."""
    uarts = _CHIPS[chip_of(machine)][4]
    return uarts[number - 1] if 0 < number <= len(uarts) else (None, None)


def of_lan(settings):
    """Numbers of the pins that the Ethernet of these settings has (`device.net.lan`)."""
    numbers = [settings[key] for key in settings if key not in ("phy", "address", "spi")]
    numbers = [number for number in numbers if type(number) is int]
    return numbers if settings.get("spi") is not None else numbers + list(_RMII)
