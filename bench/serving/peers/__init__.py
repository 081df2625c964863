"""The other servers, each as its documentation recommends, with dynamic batching; they share the decoder."""
