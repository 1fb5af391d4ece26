//! credchain.toml: discovery, profiles, layering, diagnostics with spans, JSON schema, trust.
