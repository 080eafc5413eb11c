//! Times in scenarios: `90s`, `2m`, `1h`, and `+MM:SS` since the start.

/// Milliseconds of `90`, `90s`, `2m` or `1h`.
pub fn read(text: &str) -> Result<u64, String> {
    let (number, factor) = match (text.strip_suffix('s'), text.strip_suffix('m'), text.strip_suffix('h')) {
        (Some(number), _, _) => (number, 1_000),
        (_, Some(number), _) => (number, 60_000),
        (_, _, Some(number)) => (number, 3_600_000),
        _ => (text, 1_000),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no time; write 90s, 2m or 1h"))?;
    Ok(number * factor)
}

/// Seconds since the start, as `+MM:SS`.
pub fn show(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    format!("{sign}{:02}:{:02}", seconds / 60, seconds % 60)
}
