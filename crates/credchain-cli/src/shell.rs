//! The shell that the user types into, for advice that can be pasted.

use credchain::Environment;

/// A family of shells that set variables alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// sh, bash, zsh, dash, ksh
    Posix,
    /// fish
    Fish,
    /// PowerShell
    Pwsh,
}

impl Shell {
    /// By `$SHELL`; without it PowerShell on Windows and a POSIX shell elsewhere.
    pub(crate) fn of_user(env: &Environment) -> Self {
        let shell = env.text("SHELL").unwrap_or_default();
        match shell.rsplit(['/', '\\']).next().unwrap_or_default() {
            "fish" => Self::Fish,
            "pwsh" | "powershell" | "pwsh.exe" | "powershell.exe" => Self::Pwsh,
            "" if cfg!(windows) => Self::Pwsh,
            _ => Self::Posix,
        }
    }

    /// How to set a variable by hand.
    pub(crate) fn set(self, variable: &str) -> String {
        match self {
            Self::Posix => format!("export {variable}=…"),
            Self::Fish => format!("set -x {variable} …"),
            Self::Pwsh => format!("$env:{variable} = \"…\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_shell() {
        let table = [
            ("/bin/bash", "export A=…"),
            ("/usr/bin/fish", "set -x A …"),
            ("/usr/bin/pwsh", "$env:A = \"…\""),
            ("/bin/zsh", "export A=…"),
        ];
        for (shell, advice) in table {
            let env = Environment::fixed([("SHELL", shell)]);
            assert_eq!(Shell::of_user(&env).set("A"), advice);
        }
    }
}
