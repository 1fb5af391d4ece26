//! Which machine this is, and whether a program on it is still there.

/// The machine's name, as it shows itself to people.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        String::from("this machine")
    }
}

/// Which set of process numbers this process is in: those of one start of one machine, or of one
/// container on it. Nothing where the system does not say.
pub(crate) fn processes() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(format!("{} {}", boot.trim(), space.display()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

/// Whether a process of ours is certainly gone. A number that was given to another one since says no.
pub(crate) fn is_gone(pid: u32) -> bool {
    #[cfg(target_os = "linux")]
    {
        !std::path::Path::new("/proc").join(pid.to_string()).exists()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        false
    }
}
