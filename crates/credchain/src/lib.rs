//! Credentials through one ordered chain of providers, from configuration.
