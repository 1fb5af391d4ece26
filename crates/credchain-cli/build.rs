//! Links `resolve` at a fixed address on Linux.
//!
//! A position-independent program has every pointer in its tables patched at start, one page fault
//! for each page of them, before `main`. For a program that lives for a millisecond that is a third
//! of its faults, and it grows with every provider that is linked. Stack, heap and libraries
//! stay randomised; what is lost is the randomised address of our own, memory-safe, code.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(
        clippy::disallowed_methods,
        reason = "this is how cargo tells a build script its target"
    )]
    let target = |key: &str| std::env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        // What runs before `main` side by side, instead of a page for each provider.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    }
}
