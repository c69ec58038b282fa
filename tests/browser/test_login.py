"""The login page: setting the admin password, losing and getting access, in a real browser."""

import urllib.error
import urllib.request

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
    expect(other.get_by_role("textbox", name="Admin password", exact=True)).to_be_visible()
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


def make_token(page, name, right):
    page.get_by_label("Name").fill(name)
    page.get_by_role("combobox", name="Right").select_option(right)
    page.get_by_role("button", name="Make token").click()
    token = page.locator("#made-token")
    expect(token).to_be_focused()
    return token.inner_text()


def may(image, token, path="/metrics"):
    request = urllib.request.Request(image.http + path)
    request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_tokens_are_made_and_revoked(image, open_page):
    page = open_page(image, "/login", connected=False)
    # Without a password everybody may do everything: there is nothing to hand out.
    expect(page.get_by_text("No password is set")).to_be_visible()
    expect(page.get_by_role("heading", name="API tokens")).to_be_hidden()
    page.goto(image.http)
    set_password(page)
    page.goto(image.http + "/login")
    expect(page.get_by_text("None yet.")).to_be_visible()
    token = make_token(page, "Prometheus", "read")
    assert may(image, token) == 200 and may(image, token, "/api/tokens") == 403
    other = make_token(page, "<b>panel<b> %41?", "control")
    tokens = page.get_by_role("list", name="API tokens").get_by_role("listitem")
    expect(tokens).to_have_text(["PrometheusreadRevoke", "<b>panel<b> %41?controlRevoke"])
    # It is shown once.
    page.reload()
    expect(tokens).to_have_count(2)
    assert token not in page.content() and other not in page.content()
    # By keyboard: the first press asks, and leaving the button takes it back.
    revoke = page.get_by_role("button", name="Revoke <b>panel<b> %41?", exact=True)
    revoke.press("Enter")
    really = page.get_by_role("button", name="Really revoke <b>panel<b> %41?")
    really.press("Tab")
    revoke.press("Enter")
    really.press("Enter")
    expect(tokens).to_have_text(["PrometheusreadRevoke"])
    assert may(image, other) == 401 and may(image, token) == 200


def test_a_token_that_is_refused_says_why(image, open_page):
    page = open_page(image)
    set_password(page)
    page.goto(image.http + "/login")
    make_token(page, "a", "read")
    page.get_by_label("Name").fill("a")
    page.get_by_role("button", name="Make token").click()
    note = page.locator("#token-form .note")
    expect(note).to_have_text("there is a token of this name: revoke it first")


def test_tokens_fit_a_phone(image, open_page):
    page = open_page(image, viewport={"width": 360, "height": 800})
    set_password(page)
    page.goto(image.http + "/login")
    make_token(page, "W" * 32, "settings")
    page.get_by_role("listitem").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
