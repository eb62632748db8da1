"""Coroutines as tests, with pytest-asyncio."""

import asyncio

import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def resource():
    await asyncio.sleep(0)
    yield []
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_coroutine(resource):
    await asyncio.sleep(0)
    assert not resource
    resource.append(1)


class TestAsync:
    @pytest.mark.asyncio
    async def test_method(self, resource):
        assert not hasattr(self, "used")
        self.used = True
        assert not resource


@pytest.mark.asyncio
async def test_fails(resource):
    raise ValueError("async")
