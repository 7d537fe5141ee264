"""The trust space as an operator has configured it: its sources, its authorities and its rules."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from mssante.annuaire.directory import Directory
from mssante.annuaire.trust_source import source_of
from mssante.clock import Clock
from mssante.config import Config, Environment, Trust, TrustSource
from mssante.database import files
from mssante.model import Malformed
from mssante.trust.kept import TrustKeeper
from mssante.trust.path import Anchors
from mssante.trust.policy import Rules
from mssante.trust.state import ListFile, Source, TrustState


def trust_state(config: Config, directory: Directory, clock: Clock) -> TrustState:
    """The configured trust state, not loaded yet."""
    trust = config.trust
    sources: dict[str, Source] = {}
    if TrustSource.LIST in trust.sources:
        assert trust.white_list is not None  # config refuses the contrary
        sources["list"] = ListFile(trust.white_list)
    if TrustSource.DIRECTORY in trust.sources:
        sources["directory"] = source_of(directory)
    return TrustState(
        sources=sources,
        anchors=lambda: _anchors(config),
        crls=trust.crls,
        rules=rules(trust),
        clock=clock,
        keeper=TrustKeeper(kept_folder(config), read=files.read_private, write=files.replace_private),
    )


def kept_folder(config: Config) -> Path:
    """Where what was accepted of the sources outlives a restart."""
    return config.folder / "trust-kept"


def rules(trust: Trust) -> Rules:
    """The rules as the operator has set them."""
    return Rules(
        extended_key_usage_required=trust.extended_key_usage_required,
        host_names_agree=trust.host_names_agree,
        space_age_max=timedelta(hours=trust.space_hours_max),
    )


def _anchors(config: Config) -> Anchors:
    """Raises OSError, and Malformed, which test anchors in production are too (facts §2)."""
    trust = config.trust
    anchors = Anchors.load(trust.anchors, trust.intermediates)
    if anchors.are_test and config.operator.environment is Environment.PRODUCTION:
        raise Malformed(f"{trust.anchors}: a TEST authority, in production")
    return anchors
