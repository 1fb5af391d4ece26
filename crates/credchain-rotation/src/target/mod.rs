//! The systems whose credentials are replaced, besides those that providers themselves offer.
