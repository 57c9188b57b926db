from tests.cli.conftest import zatlas

__all__ = ["zatlas"]
