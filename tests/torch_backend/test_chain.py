from tests.chain_checks import ChainChecks


class TestChain(ChainChecks):
    backend = "torch"
