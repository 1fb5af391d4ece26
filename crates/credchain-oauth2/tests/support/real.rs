//! A real authorization server: the certified `oidc-provider`, run by Node.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A server of its own for one test, which ends with it.
#[derive(Debug)]
pub struct RealServer {
    child: Child,
    url: String,
    directory: TempDir,
}

impl RealServer {
    /// Starts it, whose tokens live for so many seconds.
    pub fn start(access_ttl: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("node")
            .arg(installed().join("server.mjs"))
            .arg(directory.path())
            .env("ACCESS_TTL", access_ttl.to_string())
            .env("NODE_NO_WARNINGS", "1")
            // Closed when this test's process ends, however that happens.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Node runs the authorization server");
        let output = child.stdout.take().unwrap();
        let url = BufReader::new(output).lines().find_map(|line| {
            let line = line.unwrap();
            line.strip_prefix("READY ").map(str::to_owned)
        });
        Self {
            child,
            url: url.expect("the authorization server starts"),
            directory,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The private key of the client `svc-jwt`.
    pub fn client_key(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("client-key.pem")).unwrap()
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server with its packages, installed once by whichever test comes first.
fn installed() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc-provider");
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let wanted = fs::read(source.join("package-lock.json")).unwrap();
    let done = home.join("installed");
    if fs::read(&done).ok().as_ref() != Some(&wanted) {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), home.join(file)).unwrap();
        }
        let installed = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&home)
            .stdout(Stdio::null())
            .status()
            .expect("npm is there");
        assert!(installed.success(), "npm installs the authorization server");
        fs::write(&done, wanted).unwrap();
    }
    fs::copy(source.join("server.mjs"), home.join("server.mjs")).unwrap();
    home
}
