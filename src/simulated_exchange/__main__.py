from simulated_exchange.main import cli

cli()
