"""Keys against the published vectors, and PIN blocks against another implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psec import pinblock

from processor.keys import software
from processor.keys.errors import KeyProblem, PinBlockRefused, SealBroken
from processor.keys.pan_vault import Purpose, Vault, vault_of
from tests.builders import PAN

BANK_UUID = "48a9e84c-ff57-4483-bf83-b255f34a6466"
TPK = bytes.fromhex("246A31D729B280DD7FCDA3BB7F187ABFA1BB0811D7EF3D68FDCA63579F3748B0")
TSK = bytes.fromhex("3AC638783EF600FE5E25E8A2EE5B0D222EB810DDF64C3681DD11AFEFAF41614B")
FIELD_123 = bytes.fromhex("4AD5A9AB1F88975DC7F0CC1CA03FA5A9265F18718C610057B10E11906D0EC2C6")
PIN_KEY = software.derive(TPK, software.pin_context(BANK_UUID))
MAC_KEY = software.derive(TSK, software.mac_context(BANK_UUID))


def test_operational_keys_are_derived_as_published() -> None:
    assert PIN_KEY.hex().upper() == "CE02E4144ADB90CA69806C1F2060B4F8"
    assert MAC_KEY.hex().upper() == "61CBA10D910DDE65A4181DF743CA0937"
    assert software.terminal_check_value(TPK) == "A8FC6D4EEB350415"


def test_the_published_pin_block_decrypts_to_its_pin() -> None:
    clear = software.decrypt_pin_block(PIN_KEY, FIELD_123)

    assert clear == software.iso0_pin_block("1234", PAN)
    assert pinblock.decode_pinblock_iso_0(clear, PAN) == "1234"


@given(pin=st.text("0123456789", min_size=4, max_size=12), pan=st.text("0123456789", min_size=13, max_size=19))
def test_pin_blocks_are_those_of_another_implementation(pin: str, pan: str) -> None:
    assert software.iso0_pin_block(pin, pan) == pinblock.encode_pinblock_iso_0(pin, pan)


def test_a_pin_block_travels_under_a_fresh_iv() -> None:
    block = software.iso0_pin_block("1234", PAN)
    first, second = software.encrypt_pin_block(PIN_KEY, block), software.encrypt_pin_block(PIN_KEY, block)

    assert len(first) == 32
    assert first != second
    assert software.decrypt_pin_block(PIN_KEY, first) == block


def test_a_pin_block_under_another_key_is_refused() -> None:
    with pytest.raises(PinBlockRefused):
        software.decrypt_pin_block(MAC_KEY, FIELD_123)


def test_the_mac_is_the_published_one() -> None:
    body = b"0800822000000000000004000000000000000000001234567890123456"

    assert software.mac(MAC_KEY, body) == "1B96CB0A8C59E30E3EB6324AAA402E4B"
    assert software.mac_matches(MAC_KEY, body, "1B96CB0A8C59E30E3EB6324AAA402E4B")
    assert software.mac_matches(MAC_KEY, body, "1B96CB0A8C59E30E")
    assert not software.mac_matches(MAC_KEY, body, "1B96CB0A8C59E30F")
    assert not software.mac_matches(MAC_KEY, body, "1B96")
    assert not software.mac_matches(MAC_KEY, body, "")


def test_a_working_key_is_unwrapped_only_by_the_master_that_wrapped_it() -> None:
    wrapped = software.wrap(bytes(32), TPK)

    assert software.unwrap(bytes(32), wrapped) == TPK
    with pytest.raises(KeyProblem):
        software.unwrap(bytes(31) + b"\1", wrapped)


class TestTheVault:
    vault = Vault(bytes(32))

    def test_what_is_sealed_opens_again_and_shows_nothing(self) -> None:
        sealed = self.vault.seal(Purpose.CARD, PAN.encode(), b"payment")

        assert PAN.encode() not in sealed
        assert self.vault.open(Purpose.CARD, sealed, b"payment") == PAN.encode()

    def test_sealing_twice_gives_two_values(self) -> None:
        seals = {self.vault.seal(Purpose.CARD, b"x", b"") for _ in range(20)}

        assert len(seals) == 20

    @pytest.mark.parametrize(
        ("purpose", "bound_to", "changed"),
        [(Purpose.PIN, b"payment", 0), (Purpose.CARD, b"another", 0), (Purpose.CARD, b"payment", 1)],
    )
    def test_it_opens_for_nothing_else(self, purpose: Purpose, bound_to: bytes, changed: int) -> None:
        sealed = self.vault.seal(Purpose.CARD, b"secret", b"payment")
        sealed = sealed[:-1] + bytes([sealed[-1] ^ changed])

        with pytest.raises(SealBroken):
            self.vault.open(purpose, sealed, bound_to)

    def test_another_master_key_is_told_apart(self) -> None:
        sealed = self.vault.seal(Purpose.CARD, b"secret", b"")

        with pytest.raises(SealBroken, match="another MASTER_KEY"):
            Vault(b"\1" * 32).open(Purpose.CARD, sealed, b"")

    def test_fingerprints_tell_contents_apart_and_need_the_key(self) -> None:
        assert self.vault.fingerprint(b"a") == self.vault.fingerprint(b"a") != self.vault.fingerprint(b"b")
        assert self.vault.fingerprint(b"a") != Vault(b"\1" * 32).fingerprint(b"a")

    @pytest.mark.parametrize("master", ["", "zz", "00" * 31])
    def test_a_master_key_that_is_none_is_refused(self, master: str) -> None:
        with pytest.raises(SealBroken):
            vault_of(master)
