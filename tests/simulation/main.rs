//! Seeded simulations of the pure core.
