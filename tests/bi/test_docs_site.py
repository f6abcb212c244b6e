"""The documentation's page, opened as a file in a browser, has the lineage and the columns."""

from __future__ import annotations

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from bi import docs


def test_the_page_shows_lineage_and_columns(
    browser: Chrome, demo_warehouse: dict[str, str]
) -> None:
    assert docs.build() == 0
    wait = WebDriverWait(browser, 60)

    browser.get(f"{docs.PAGE.as_uri()}#!/model/model.ringostat.fct_conversions")
    wait.until(lambda _: "attribution_method" in _text(browser))
    assert "Three steps decide where a conversion came from" in _text(browser)
    assert "timestamp with time zone" in _text(browser)

    browser.get(f"{docs.PAGE.as_uri()}#!/overview?g_v=1")
    wait.until(lambda _: "fct_conversions" in _lineage(browser))
    assert {"stg_ringostat__calls", "static_channels", "ringostat.calls"} <= set(_lineage(browser))


def _text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _lineage(browser: Chrome) -> list[str]:
    """The names in the picture of the lineage, which is drawn by Cytoscape on a canvas."""
    return browser.execute_script(
        """
        const canvas = document.querySelector('.__________cytoscape_container');
        if (!canvas || !canvas._cyreg) return [];
        return canvas._cyreg.cy.nodes(':visible').map(node => node.data('label'));
        """
    )
