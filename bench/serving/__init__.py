"""The same model behind this service and behind other servers, under the same load."""
