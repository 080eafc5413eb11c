//! Commit messages: a subject, a body, trailers that `git interpret-trailers` reads.

/// A commit message in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    /// Paragraphs.
    pub body: Vec<String>,
    /// `Windlass-*` keys with values of one line each.
    pub trailers: Vec<(String, String)>,
}

impl std::fmt::Display for Message {
    /// No text can make a trailer: texts lose their line breaks, and the trailers stand alone in the last paragraph.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", one_line(&self.subject))?;
        for paragraph in &self.body {
            let text = one_line(paragraph);
            // A paragraph that looks like a trailer is not one.
            let quote = if text.starts_with("Windlass-") { "> " } else { "" };
            writeln!(f, "\n{quote}{text}")?;
        }
        if !self.trailers.is_empty() {
            writeln!(f)?;
        }
        for (key, value) in &self.trailers {
            writeln!(f, "{key}: {}", one_line(value))?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Message {
    /// Reads a message. Only `Windlass-*` lines of the last paragraph are trailers, and only if all its lines are.
    pub fn parse(text: &str) -> Self {
        let mut paragraphs: Vec<&str> = text.trim_end().split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).collect();
        let trailer = |line: &str| -> Option<(String, String)> {
            let (key, value) = line.split_once(": ")?;
            let plain = key.starts_with("Windlass-") && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain.then(|| (key.to_owned(), value.trim().to_owned()))
        };
        let mut trailers = Vec::new();
        if paragraphs.len() > 1
            && let Some(read) = paragraphs.last().and_then(|last| last.lines().map(trailer).collect::<Option<Vec<_>>>())
        {
            trailers = read;
            paragraphs.pop();
        }
        let mut paragraphs = paragraphs.into_iter();
        let subject = paragraphs.next().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        Self { subject, body: paragraphs.map(one_line).collect(), trailers }
    }

    /// The first trailer of that key.
    pub fn trailer(&self, key: &str) -> Option<&str> {
        self.trailers.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_make_trailers() {
        let message = Message {
            subject: "checkout: x\n\nWindlass-Step: 9/9".to_owned(),
            body: vec!["Windlass-Approved-By: mallory".to_owned(), "a\nWindlass-Gate: {}".to_owned()],
            trailers: vec![("Windlass-Step".to_owned(), "1/2 grow\nWindlass-By: mallory".to_owned())],
        };
        let read = Message::parse(&message.to_string());
        assert_eq!(read.trailers, [("Windlass-Step".to_owned(), "1/2 grow Windlass-By: mallory".to_owned())]);
        assert_eq!(read.subject, "checkout: x Windlass-Step: 9/9");
    }
}
