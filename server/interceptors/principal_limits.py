"""What one principal may have and do, in the order in which calls are held to it."""

from __future__ import annotations

from collections.abc import Sequence

from server.interceptors.call_classes import CallClass
from server.interceptors.rate_limits import RateLimits
from server.interceptors.request_bytes import RequestBytes
from server.interceptors.rpc import RpcInterceptor
from server.interceptors.stream_places import StreamPlaces
from server.setting_groups import LimitSettings
from services.application.ports.rates import RateWindows


def principal_limits(settings: LimitSettings, windows: RateWindows) -> Sequence[RpcInterceptor]:
    """How many at once, then how many a minute: a call that finds no place does not count as one of the minute."""
    per_minute = {
        CallClass.WORK: settings.work_per_minute,
        CallClass.ANSWERS: settings.answers_per_minute,
        CallClass.WATCHES: settings.watches_per_minute,
        CallClass.READS: settings.reads_per_minute,
    }
    return [StreamPlaces(settings.streams), RequestBytes(settings.request_bytes), RateLimits(windows, per_minute)]
