"""The parts of one running gateway, wired together."""

from dataclasses import dataclass

from gateway.access import Access
from gateway.admission import Admissions
from gateway.budget import Budget
from gateway.catalog import Catalog
from gateway.classifier import Classifier
from gateway.config import Settings
from gateway.decoder import Decoder
from gateway.image import Limits
from gateway.key_ring import KeyRing
from gateway.metrics import Metrics
from gateway.openapi import describe_api
from gateway.rate import RateLimiter
from gateway.readiness import Readiness
from gateway.triton import InferenceClient, TritonClient
from gateway.uploads import UploadLimits

LARGEST_AT_ONCE = 2  # bodies of the largest size, or as many bytes in smaller ones


@dataclass(frozen=True)
class Services:
    """Everything the routes use. `start` begins the background work, `stop` ends it."""

    settings: Settings
    triton: InferenceClient
    catalog: Catalog
    classifier: Classifier
    admissions: Admissions
    readiness: Readiness
    access: Access
    metrics: Metrics
    upload_limits: UploadLimits
    budget: Budget
    openapi: bytes

    @classmethod
    def build(cls, settings: Settings, triton: InferenceClient | None = None) -> "Services":
        """Make the parts from the settings; raise KeysError for a bad key file."""
        triton = triton or TritonClient(settings.triton_url, settings.triton_metrics_url)
        catalog = Catalog(triton, settings.model, shares=settings.version_shares)
        admissions = Admissions(settings.deadline_seconds)
        readiness = Readiness(
            catalog,
            triton,
            measured=lambda name, s: admissions.of(name).expect(s),
            deadline_seconds=settings.deadline_seconds,
        )
        decoder = Decoder(Limits(settings.max_upload_bytes, settings.max_pixels))
        keys = KeyRing(settings.api_keys_file) if settings.api_keys_file else None
        return cls(
            settings=settings,
            triton=triton,
            catalog=catalog,
            classifier=Classifier(catalog, triton, decoder, dict(settings.version_shares)),
            admissions=admissions,
            readiness=readiness,
            access=Access(keys, RateLimiter(settings.client_rate)),
            metrics=Metrics(admissions, catalog, readiness.is_ready),
            upload_limits=UploadLimits(settings.max_upload_bytes, settings.max_pictures),
            budget=Budget(LARGEST_AT_ONCE * settings.max_body_bytes),
            openapi=describe_api(keys is not None, settings.max_pictures),
        )

    def start(self) -> None:
        """Start watching Triton: what it has loaded, and whether it infers."""
        self.catalog.refresh()
        self.catalog.start()
        self.readiness.start()

    def stop(self) -> None:
        """End the background work and close the channel to Triton."""
        self.catalog.stop()
        self.readiness.stop()
        self.classifier.close()
        self.triton.close()
