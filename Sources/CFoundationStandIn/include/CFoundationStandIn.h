// Nothing to call: see CFoundationStandIn.c.
