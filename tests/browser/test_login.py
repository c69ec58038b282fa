"""The login page: setting the admin password, losing and getting access, in a real browser."""

from playwright.sync_api import expect

from browser.page import status

PASSWORD = "correct horse battery"


def set_password(page):
    page.get_by_role("link", name="Access and admin password").click()
    expect(page.get_by_text("No password is set")).to_be_visible()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(status(page)).to_have_text("Connected")


def test_password_is_set_and_shuts_other_browsers_out(image, open_page):
    page = open_page(image)
    other = open_page(image)
    set_password(page)
    # The other browser has no session: its page asks for the password by itself.
    expect(other.get_by_role("textbox", name="Admin password")).to_be_visible()
    assert other.url == image.http + "/login"
    page.reload()
    expect(status(page)).to_have_text("Connected")


def test_wrong_password_is_told_and_the_right_one_lets_in(image, open_page):
    page = open_page(image)
    set_password(page)
    page.goto(image.http + "/login")
    page.get_by_role("button", name="Log out").click()
    field = page.get_by_role("textbox", name="Admin password")
    expect(field).to_be_visible()
    field.fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#login .note")).to_have_text("wrong password")
    field.fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(status(page)).to_have_text("Connected")


def test_login_page_fits_a_phone(image, open_page):
    page = open_page(image, "/login", connected=False, viewport={"width": 360, "height": 800})
    expect(page.get_by_label("New password")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=image.data / "login.png")
