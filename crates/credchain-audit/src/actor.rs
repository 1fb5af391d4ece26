//! Who does it: found out once for a process.

use std::path::Path;

use credchain_core::Environment;

use crate::text::Members;

/// The user, the process, the machine and the job that this process is.
///
/// The numbers are the system's word. The job is that of the environment, which whoever starts
/// the process can set as they like.
///
/// ```
/// use credchain_audit::Actor;
/// use credchain_core::Environment;
///
/// let job = [("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/etl"), ("GITHUB_RUN_ID", "7")];
/// let actor = Actor::detect(&Environment::fixed(job));
/// assert_eq!(actor.ci(), Some("github:acme/etl/7"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    user: Option<String>,
    uid: Option<u32>,
    pid: u32,
    exe: Option<String>,
    host: Option<String>,
    ci: Option<String>,
}

impl Actor {
    /// What the system and the environment say of this process.
    pub fn detect(env: &Environment) -> Self {
        let uid = uid();
        Self {
            user: uid.and_then(login_name).or_else(|| said_name(env)),
            uid,
            pid: std::process::id(),
            exe: std::env::current_exe()
                .ok()
                .map(|path| path.to_string_lossy().into_owned()),
            host: host(env),
            ci: job(env),
        }
    }

    /// The user's name.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The job of a build service, such as `github:OWNER/NAME/RUN`.
    pub fn ci(&self) -> Option<&str> {
        self.ci.as_deref()
    }

    /// As it stands in every record.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        let mut members = Members::open(&mut json);
        members.some("user", self.user.as_deref());
        if let Some(uid) = self.uid {
            members.number("uid", uid.into());
        }
        members.number("pid", self.pid.into());
        members.some("exe", self.exe.as_deref());
        members.some("host", self.host.as_deref());
        members.some("ci", self.ci.as_deref());
        members.close();
        json
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is no number")]
fn uid() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}

/// The name in the machine's own list of users. Those of a directory service are not in it.
fn login_name(uid: u32) -> Option<String> {
    let list = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let uid = uid.to_string();
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

fn said_name(env: &Environment) -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|variable| env.text(variable))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there may be none")]
fn host(_: &Environment) -> Option<String> {
    let uname = rustix::system::uname();
    Some(uname.nodename().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn host(env: &Environment) -> Option<String> {
    env.text("COMPUTERNAME")
}

/// The services that run jobs: the variable that each sets, what it is called here, and the
/// variables that name the job.
const SERVICES: [(&str, &str, &[&str]); 7] = [
    (
        "GITHUB_ACTIONS",
        "github",
        &[
            "GITHUB_REPOSITORY",
            "GITHUB_RUN_ID",
            "GITHUB_JOB",
            "GITHUB_ACTOR",
        ],
    ),
    (
        "GITLAB_CI",
        "gitlab",
        &["CI_PROJECT_PATH", "CI_JOB_ID", "GITLAB_USER_LOGIN"],
    ),
    (
        "BUILDKITE",
        "buildkite",
        &[
            "BUILDKITE_ORGANIZATION_SLUG",
            "BUILDKITE_PIPELINE_SLUG",
            "BUILDKITE_JOB_ID",
        ],
    ),
    (
        "CIRCLECI",
        "circleci",
        &[
            "CIRCLE_PROJECT_USERNAME",
            "CIRCLE_PROJECT_REPONAME",
            "CIRCLE_BUILD_NUM",
        ],
    ),
    (
        "TF_BUILD",
        "azure",
        &[
            "SYSTEM_TEAMPROJECT",
            "BUILD_DEFINITIONNAME",
            "BUILD_BUILDID",
        ],
    ),
    ("JENKINS_URL", "jenkins", &["JOB_NAME", "BUILD_NUMBER"]),
    (
        "BITBUCKET_BUILD_NUMBER",
        "bitbucket",
        &["BITBUCKET_REPO_FULL_NAME", "BITBUCKET_BUILD_NUMBER"],
    ),
];

fn job(env: &Environment) -> Option<String> {
    let service = SERVICES
        .iter()
        .find(|(variable, ..)| env.text(variable).is_some());
    let Some((_, service, variables)) = service else {
        return env.text("CI").map(|_| "ci".to_owned());
    };
    let said: Vec<String> = variables
        .iter()
        .filter_map(|variable| env.text(variable))
        .collect();
    Some(format!("{service}:{}", said.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_as_its_service_names_it() {
        let job = |variables: &[(&str, &str)]| {
            Actor::detect(&Environment::fixed(variables.iter().copied())).ci
        };
        assert_eq!(job(&[]), None);
        assert_eq!(job(&[("CI", "true")]).unwrap(), "ci");
        let gitlab = [
            ("CI", "1"),
            ("GITLAB_CI", "true"),
            ("CI_PROJECT_PATH", "g/p"),
            ("CI_JOB_ID", "9"),
        ];
        assert_eq!(job(&gitlab).unwrap(), "gitlab:g/p/9");
    }

    #[test]
    fn the_process_is_this_one() {
        let actor = Actor::detect(&Environment::fixed([("USER", "somebody")]));
        assert_eq!(actor.pid, std::process::id());
        assert!(actor.exe.is_some() && actor.user.is_some());
        let json = String::from_utf8(actor.json()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["pid"], std::process::id());
        #[cfg(unix)]
        assert!(value["host"].is_string() && value["uid"].is_number());
    }
}
