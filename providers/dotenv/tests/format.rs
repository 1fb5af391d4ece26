//! The format, compared with python-dotenv: on the corpus by its committed answers, and on the
//! corpus and random files by the real thing.
//!
//! `CREDCHAIN_TEST_PYTHON` names a Python that has python-dotenv; without it `python3` is asked.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use credchain_provider_dotenv::{Parsed, parse, quote};
use serde::{Deserialize, Serialize};

/// The release of python-dotenv whose rules are followed.
const VERSION: &str = "1.2.4";

type Entries = Vec<(String, Option<String>)>;

#[derive(Serialize)]
struct Request {
    text: String,
    env: BTreeMap<String, String>,
}

/// See `differential.py`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Answer {
    /// python-dotenv, except that single quotes are literal.
    entries: Entries,
    /// python-dotenv as it is.
    real: Entries,
    broken: Vec<usize>,
}

#[derive(Deserialize)]
struct Expected {
    env: BTreeMap<String, String>,
    #[serde(flatten)]
    answer: Answer,
}

fn ours(request: &Request) -> Parsed {
    let lookup = |name: &str| {
        request
            .env
            .get(name)
            .map(|value| value.clone().into_bytes())
    };
    parse(request.text.as_bytes(), &lookup).unwrap()
}

fn entries(parsed: &Parsed) -> Entries {
    let text = |secret: &credchain_core::Secret| secret.expose_text().unwrap().to_owned();
    parsed
        .entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.as_ref().map(text)))
        .collect()
}

fn check(request: &Request, answer: &Answer) {
    let parsed = ours(request);
    let lines: Vec<_> = parsed.warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(entries(&parsed), answer.entries, "for {:?}", request.text);
    assert_eq!(lines, answer.broken, "for {:?}", request.text);
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn corpus() -> Vec<(PathBuf, Request, Answer)> {
    let mut cases = Vec::new();
    for file in fs::read_dir(tests().join("corpus")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "env") {
            let expected = fs::read_to_string(path.with_extension("json")).unwrap();
            let Expected { env, answer } = serde_json::from_str(&expected).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            cases.push((path, Request { text, env }, answer));
        }
    }
    assert!(cases.len() >= 15, "the corpus has {} files", cases.len());
    cases
}

/// What the real python-dotenv makes of each request.
fn python_dotenv(requests: &[Request]) -> Vec<Answer> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the runner of the tests says which Python"
    )]
    let python = std::env::var_os("CREDCHAIN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    // Its releases differ in details, so that the right one has to answer.
    let version = "import importlib.metadata as m; print(m.version('python-dotenv'), end='')";
    let has_it = Command::new(&python).args(["-c", version]).output();
    assert!(
        has_it.is_ok_and(|output| output.stdout == VERSION.as_bytes()),
        "{} has no python-dotenv {VERSION}: `cargo xtask test` makes a Python that has it, or set \
         CREDCHAIN_TEST_PYTHON to one with `pip install python-dotenv=={VERSION}`",
        python.display(),
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for request in requests {
        writeln!(file, "{}", serde_json::to_string(request).unwrap()).unwrap();
    }
    let script = tests().join("differential.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), requests.len());
    answers
}

/// A small generator of random numbers, so that every run sees the same files.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // The step of SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn some(&mut self, most: usize, choices: &[&str]) -> String {
        (0..self.below(most + 1))
            .map(|_| self.one(choices))
            .collect()
    }
}

/// Everything that means something to the format, in any order.
const TOKENS: &[&str] = &[
    "A", "B", "KEY", "HOST", "=", "=", "=", "'", "'", "\"", "\"", "\\", "\\\\", "\\n", "\\'",
    "\\\"", "#", " #", " ", "\t", "\n", "\n", "\n", "\r\n", "\r", "${", "}", ":-", ":", "$",
    "${A}", "${B:-d}", "${HOST}", "export ", "export", "\u{a0}", "\u{2028}", "\u{1c}", "\u{b}",
    "\u{85}", "\u{feff}", "é", "🔑", "\0",
];

/// Lines as people write them, each with something odd in it.
fn line(random: &mut Random) -> String {
    const WORDS: &[&str] = &[
        "a", "b c", "$x", "${A}", "${B:-d}", "${X:-}", "\\", "\\n", "#", " # ",
    ];
    let key = random.one(&[
        "A", "B", "C", "HOST", "'A'", "'D E'", "export A", "  B", "export",
    ]);
    let assign = random.one(&["=", "=", "=", " = ", "= ", "", "\t=\t"]);
    let quote = random.one(&["", "", "\"", "\"", "'", "'"]);
    let break_ = if quote.is_empty() {
        ""
    } else {
        random.one(&["", "", "\n", "\r\n"])
    };
    let (first, second) = (random.some(3, WORDS), random.some(2, WORDS));
    let close = if random.below(12) == 0 { "" } else { quote };
    let after = random.one(&["", "", " # comment", "# comment", " junk", "  "]);
    let end = random.one(&["\n", "\n", "\n", "\r\n", "\r", "\n\n"]);
    format!("{key}{assign}{quote}{first}{break_}{second}{close}{after}{end}")
}

fn random_files(count: usize) -> Vec<Request> {
    let mut random = Random(2026);
    let mut text = |at: usize| {
        if at.is_multiple_of(2) {
            random.some(60, TOKENS)
        } else {
            (0..random.below(12)).map(|_| line(&mut random)).collect()
        }
    };
    let env: BTreeMap<_, _> = [("HOST", "host"), ("B", "from outside"), ("EMPTY", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    (0..count)
        .map(|at| Request {
            text: text(at),
            env: env.clone(),
        })
        .collect()
}

#[test]
fn the_corpus_gives_what_python_dotenv_gave() {
    for (path, request, answer) in corpus() {
        println!("{}", path.display());
        check(&request, &answer);
    }
}

#[test]
fn the_answers_beside_the_corpus_are_those_of_the_real_python_dotenv() {
    let (requests, expected): (Vec<_>, Vec<_>) = corpus()
        .into_iter()
        .map(|(_, request, answer)| (request, answer))
        .unzip();
    let hint = "run `python differential.py --write corpus` in the folder of the tests";
    assert!(
        python_dotenv(&requests) == expected,
        "the corpus has changed: {hint}"
    );
}

#[test]
fn random_files_mean_what_they_mean_to_python_dotenv() {
    let requests = random_files(3_000);
    let (mut bound, mut broken, mut differing) = (0, 0, 0);
    for (request, answer) in requests.iter().zip(python_dotenv(&requests)) {
        check(request, &answer);
        bound += answer.entries.len();
        broken += answer.broken.len();
        if answer.entries != answer.real {
            // The one difference, and nothing but it.
            assert!(request.text.contains('\'') && request.text.contains("${"));
            differing += 1;
        }
    }
    // The files are worth comparing.
    assert!(
        bound > 5_000 && broken > 2_000 && differing > 50,
        "{bound} {broken} {differing}"
    );
}

#[test]
fn single_quotes_are_the_one_difference() {
    for (path, request, answer) in corpus() {
        let differs = answer.entries != answer.real;
        let meant = path.file_stem().is_some_and(|name| name == "single-quotes");
        assert_eq!(differs, meant, "{}", path.display());
        if differs {
            let literal = |key: &str| ours(&request).get(key).unwrap().expose().to_vec();
            assert_eq!(literal("LITERAL"), b"${A}");
            assert_eq!(literal("HASH"), b"$2y$10$${A}");
            let real: BTreeMap<_, _> = answer.real.into_iter().collect();
            assert_eq!(real["LITERAL"].as_deref(), Some("value"));
            assert_eq!(real["HASH"].as_deref(), Some("$2y$10$value"));
        }
    }
}

#[test]
fn what_is_quoted_python_dotenv_reads_back_as_well() {
    let mut random = Random(7);
    let mut values: Vec<String> = (0..500).map(|_| random.some(12, TOKENS)).collect();
    for value in &mut values {
        value.retain(|c| c != '\0');
    }
    let env = BTreeMap::from([("HOST".to_owned(), "poison".to_owned())]);
    let requests: Vec<_> = values
        .iter()
        .map(|value| {
            let quoted = quote(value.as_bytes()).unwrap();
            Request {
                text: format!("A=1\nexport KEY={quoted} # c\nB=2\n"),
                env: env.clone(),
            }
        })
        .collect();
    for (value, answer) in values.iter().zip(python_dotenv(&requests)) {
        assert_eq!(answer.real[1], ("KEY".to_owned(), Some(value.clone())));
        assert_eq!(answer.real.len(), 3);
    }
}

/// `dotenvy` agrees on plain files. It expands `$NAME`, has other escapes, and refuses values
/// with spaces and keys without `=`, so those are left out.
#[test]
fn plain_files_mean_what_they_mean_to_dotenvy() {
    use std::fmt::Write as _;
    let mut random = Random(11);
    for _ in 0..500 {
        let mut text = String::new();
        for number in 0..random.below(8) {
            let export = random.one(&["", "", "export "]);
            let comment = random.one(&["", "", " # comment"]);
            let (quote, words): (_, &[_]) = match random.below(3) {
                0 => ("", &["a", "B", "1", "_", "/", ":", ".", "@"]),
                1 => ("\"", &["a", "B", " ", "#", "=", "'", "\n", "é"]),
                _ => ("'", &["a", "B", " ", "#", "=", "\"", "\n", "é"]),
            };
            let value = random.some(9, words);
            writeln!(text, "{export}KEY_{number}={quote}{value}{quote}{comment}").unwrap();
        }
        let theirs: Entries = dotenvy::from_read_iter(text.as_bytes())
            .map(|item| item.map(|(key, value)| (key, Some(value))).unwrap())
            .collect();
        let request = Request {
            text,
            env: BTreeMap::new(),
        };
        assert_eq!(entries(&ours(&request)), theirs, "for {:?}", request.text);
    }
}
