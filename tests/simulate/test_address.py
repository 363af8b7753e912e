import pytest

from service.simulate.address import AddressError, check


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.9.1",
        "http://localhost:1",
        "http://[::1]:8080",
        "unix:/run/a.sock",
    ],
)
def test_this_machine_may_be_loaded(url: str) -> None:
    """A loopback address needs no permission."""
    check(url, is_permitted=False)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.7:8080", "https://192.0.2.1", "http://0.0.0.0:80", "http://nowhere.invalid"],
)
def test_another_machine_needs_permission(url: str) -> None:
    """What is not surely this machine is refused, until the user says that they may load it."""
    with pytest.raises(AddressError, match="--i-may-load-this-server"):
        check(url, is_permitted=False)
    check(url, is_permitted=True)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "unix:"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """With permission or without."""
    with pytest.raises(AddressError, match="--url"):
        check(url, is_permitted=True)
