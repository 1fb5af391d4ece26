//! GitHub Actions: mask first, then hand over through the environment file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use credchain::{Error, Kind};

use super::{Variable, text};

/// Prints one mask command for every value and each of its lines, then appends the variables to
/// the runner's environment file under a delimiter that no value can guess.
///
/// The order matters: a value must be masked before any later step can print it.
pub(crate) fn write(
    variables: &[Variable],
    file: &Path,
    mut masks: impl std::io::Write,
) -> Result<(), Error> {
    let delimiter = delimiter()?;
    let mut assignments = Vec::new();
    let mut commands = Vec::new();
    for variable in variables {
        let value =
            text(variable.value.expose()).map_err(|error| error.for_credential(&variable.name))?;
        if value.contains('\0') {
            let error = Error::new(Kind::Invalid, "a NUL byte cannot be in an environment");
            return Err(error.for_credential(&variable.name));
        }
        // What is no secret, such as a port, would be starred out of every later line.
        let lines = value.lines().filter(|_| variable.secret);
        for line in lines.filter(|line| !line.trim().is_empty()) {
            commands.extend_from_slice(b"::add-mask::");
            commands.extend_from_slice(escape(line).as_bytes());
            commands.push(b'\n');
        }
        let assignment = format!("{}<<{delimiter}\n{value}\n{delimiter}\n", variable.env);
        assignments.extend_from_slice(assignment.as_bytes());
    }
    let unable = |what: &str, error: std::io::Error| {
        Error::new(Kind::Unavailable, format!("{what} cannot be written")).with_source(error)
    };
    masks
        .write_all(&commands)
        .and_then(|()| masks.flush())
        .map_err(|error| unable("the output", error))?;
    OpenOptions::new()
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(&assignments))
        .map_err(|error| unable("the file at `GITHUB_ENV`", error))
}

/// Workflow commands take data with these three escapes.
fn escape(line: &str) -> String {
    line.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn delimiter() -> Result<String, Error> {
    let bytes = credchain::random_bytes::<16>()?;
    Ok(bytes
        .iter()
        .fold(String::from("credchain_"), |mut text, byte| {
            text.push_str(&format!("{byte:02x}"));
            text
        }))
}

#[cfg(test)]
mod tests {
    use credchain::Secret;

    use super::*;

    #[test]
    fn values_are_masked_line_by_line_and_cannot_close_their_own_block() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        std::fs::write(&file, "BEFORE=1\n").unwrap();
        let variable = Variable {
            name: "tls_key".parse().unwrap(),
            env: "TLS_KEY".to_owned(),
            value: Secret::new("one 100%\ncredchain_\nEVIL=1"),
            secret: true,
        };
        let port = Variable {
            name: "port".parse().unwrap(),
            env: "PORT".to_owned(),
            value: Secret::new("587"),
            secret: false,
        };
        let mut masks = Vec::new();
        write(&[variable, port], &file, &mut masks).unwrap();
        let masks = String::from_utf8(masks).unwrap();
        assert_eq!(
            masks,
            "::add-mask::one 100%25\n::add-mask::credchain_\n::add-mask::EVIL=1\n"
        );
        let written = std::fs::read_to_string(&file).unwrap();
        let (first, rest) = written.split_once('\n').unwrap();
        assert_eq!(first, "BEFORE=1");
        let (head, rest) = rest.split_once('\n').unwrap();
        let delimiter = head.strip_prefix("TLS_KEY<<").unwrap();
        assert_eq!(
            rest,
            format!(
                "one 100%\ncredchain_\nEVIL=1\n{delimiter}\nPORT<<{delimiter}\n587\n{delimiter}\n"
            )
        );
    }
}
