//! Log text and secrets that look real, the same in every run.

/// The numbers of Marsaglia's xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % limit
    }

    fn letters(&mut self, alphabet: &[u8], len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

/// Tokens, hexadecimal keys and passwords of 12 to 64 bytes.
pub(crate) fn secrets(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    const TOKEN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const KEY: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    const PASSWORD: &[u8] = b"abcdefghijkmnopqrstuvwxyz0123456789!#$%&?@^~<>\"'\\ ";
    let each = |random: &mut Random| match random.below(10) {
        0..4 => random.letters(TOKEN, 40),
        4..6 => random.letters(b"0123456789abcdef", 64),
        6..8 => random.letters(KEY, 32),
        _ => {
            let len = 12 + random.below(9);
            random.letters(PASSWORD, len)
        }
    };
    (0..count).map(|_| each(random)).collect()
}

const WORDS: &str = "request response handler completed started connection pool worker queue \
    timeout retry attempt user session cache miss hit database query rows fetched upload download \
    status latency bytes client server region shard leader follower commit index flush segment";

/// Lines of a log; in every `hit_every`-th one of `hits` is shown.
pub(crate) fn log(random: &mut Random, size: usize, hit_every: usize, hits: &[Vec<u8>]) -> Vec<u8> {
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let mut text = Vec::with_capacity(size + 512);
    let mut line = 0;
    while text.len() < size {
        line += 1;
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        let stamp = format!(
            "2026-03-04T{hour:02}:{minute:02}:{second:02}.{:03}Z ",
            line % 1000
        );
        text.extend_from_slice(stamp.as_bytes());
        text.extend_from_slice([b"INFO  ", b"DEBUG ", b"WARN  "][random.below(3)]);
        for _ in 0..4 + random.below(8) {
            text.extend_from_slice(words[random.below(words.len())].as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(b"request_id=");
        text.extend(random.letters(b"0123456789abcdef", 16));
        text.extend_from_slice(format!(" ms={}", random.below(3000)).as_bytes());
        if !hits.is_empty() && line % hit_every == 0 {
            text.extend_from_slice(b" value=");
            text.extend_from_slice(&hits[random.below(hits.len())]);
        }
        text.push(b'\n');
    }
    text.truncate(size);
    text
}
