"""The relay: devices that phone home meet the pages that are about them.

A device connects out to `ws://<relay>:7770/<name>`, a page to `ws://<relay>:7771/<name>`; what one
sends the other gets. See docs/relay.md.
"""
