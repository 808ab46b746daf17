"""The same sub-models in pipelines that others would write: by raw sockets and over gRPC, both without encryption."""
