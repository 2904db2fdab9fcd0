"""A wrong configuration stops the start and is named: file, key, value, what was expected."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from central.config import CentralConfig, PolicyConfig
from edge.config import EdgeConfig, ScannerConfig
from runtime.config import ConfigError, load_config, parse_config, to_toml

EDGE = EdgeConfig(
    site_id="FC1",
    edge_id="A",
    site_dir="site",
    data_dir="data",
    gln="9521321000018",
    scanners=(
        ScannerConfig(device_id="scanner-1", person_id="p1", path='/dev/tty"odd\\name'),
        ScannerConfig(device_id="scanner-2", person_id="p2"),
    ),
)


def test_what_is_written_is_read_back_equal() -> None:
    assert parse_config(to_toml(EDGE), EdgeConfig, name="edge.toml") == EDGE
    central = CentralConfig(
        site_id="FC1", site_dir="s", data_dir="d", policy=PolicyConfig(auto_units_max=7)
    )
    assert parse_config(to_toml(central), CentralConfig, name="c.toml") == central


def test_an_unknown_key_is_named_with_its_value_and_the_known_ones() -> None:
    text = to_toml(EDGE).replace('host = "127.0.0.1"', 'hots = "127.0.0.1"')
    with pytest.raises(ConfigError) as caught:
        parse_config(text, EdgeConfig, name="edge.toml")
    assert str(caught.value) == (
        "edge.toml: broker.hots = '127.0.0.1': unknown key;"
        " expected one of: host, port, username, password, password_file, tls"
    )


def test_a_value_out_of_range_is_named_with_what_was_expected() -> None:
    text = to_toml(EDGE).replace("port = 1883", "port = 99999")
    with pytest.raises(ConfigError) as caught:
        parse_config(text, EdgeConfig, name="edge.toml")
    assert str(caught.value) == "edge.toml: broker.port = 99999: Expected `int` <= 65535"


def test_a_wrong_value_in_a_list_is_found_by_its_place() -> None:
    text = to_toml(EDGE).replace('device_id = "scanner-2"', "device_id = 2")
    with pytest.raises(ConfigError) as caught:
        parse_config(text, EdgeConfig, name="edge.toml")
    assert str(caught.value) == ("edge.toml: scanners[1].device_id = 2: Expected `str`, got `int`")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"edge\.toml: gln: missing; it is required"):
        parse_config(
            'site_id="F"\nedge_id="A"\nsite_dir="s"\ndata_dir="d"', EdgeConfig, name="edge.toml"
        )


def test_a_file_that_is_absent_or_no_toml_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "absent.toml", EdgeConfig)
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(broken, EdgeConfig)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(broken, EdgeConfig)


def test_every_config_refuses_unknown_keys() -> None:
    for kind in (EdgeConfig, CentralConfig):
        stack: list[type[msgspec.Struct]] = [kind]
        while stack:
            struct = stack.pop()
            assert struct.__struct_config__.forbid_unknown_fields, struct
            stack += [
                field.type
                for field in msgspec.structs.fields(struct)
                if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            ]
