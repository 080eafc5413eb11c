//! The text of a scenario: comments, commands with their input, and the output that must come.
//!
//! ```text
//! # A comment. The header says what the scenario shows.
//! #! directive: what the checkers must know of it
//! > command with words
//! | a line of input
//! a line of output
//! ```

/// One command with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Line of the command in the file, from 1.
    pub line: usize,
    pub command: String,
    pub input: Vec<String>,
    pub output: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// A comment or an empty line, as it stands.
    Text(String),
    Block(Block),
}

/// A scenario as it stands in its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    items: Vec<Item>,
}

impl Script {
    /// Reads a scenario.
    ///
    /// # Errors
    /// Input or output without a command before it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut items: Vec<Item> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let lost = || format!("line {}: `{line}` stands before any command (commands begin with `> `)", index + 1);
            if line.trim().is_empty() || line.starts_with('#') {
                items.push(Item::Text(line.to_owned()));
            } else if let Some(command) = line.strip_prefix("> ") {
                items.push(Item::Block(Block { line: index + 1, command: command.trim().to_owned(), ..Block::default() }));
            } else {
                let Some(Item::Block(block)) = items.last_mut() else { return Err(lost()) };
                match line.strip_prefix('|') {
                    Some(input) if block.output.is_empty() => {
                        block.input.push(input.strip_prefix(' ').unwrap_or(input).to_owned());
                    }
                    _ => block.output.push(line.to_owned()),
                }
            }
        }
        Ok(Self { items })
    }

    /// The commands in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.items.iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Text(_) => None,
        })
    }

    /// The value of `#! name: value`; `Some("")` for `#! name`.
    pub fn directive(&self, name: &str) -> Option<&str> {
        self.items.iter().find_map(|item| {
            let Item::Text(text) = item else { return None };
            let (word, value) = text.strip_prefix("#! ")?.split_once(':').unwrap_or((text.strip_prefix("#! ")?, ""));
            (word.trim() == name).then(|| value.trim())
        })
    }

    /// The same scenario with other output.
    pub fn with_output(&self, outputs: &[Vec<String>]) -> Self {
        let mut outputs = outputs.iter();
        let items = self.items.iter().map(|item| match item {
            Item::Block(block) => Item::Block(Block { output: outputs.next().cloned().unwrap_or_default(), ..block.clone() }),
            Item::Text(_) => item.clone(),
        });
        Self { items: items.collect() }
    }
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for item in &self.items {
            match item {
                Item::Text(text) => writeln!(f, "{text}")?,
                Item::Block(block) => {
                    writeln!(f, "> {}", block.command)?;
                    for line in &block.input {
                        writeln!(f, "{}", format!("| {line}").trim_end())?;
                    }
                    for line in &block.output {
                        writeln!(f, "{line}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
