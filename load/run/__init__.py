"""`make load`: a scenario of load/scenarios.json against a running service, an page, and the balance of orders."""
