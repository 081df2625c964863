"""From a request's body to encoded images, whatever the wire format."""
