//! The line that tells what became of a request, where nobody in front of the gate writes one.

use std::fmt::Write as _;

/// One request, as the log knows it: names and sizes, never content.
pub(crate) struct Line {
    pub method: String,
    /// Without the query, which is the caller's content.
    pub path: String,
    /// From the router's `x-log-parameters`.
    pub parameters: String,
    pub status: u16,
    pub duration_ms: f64,
    pub user_agent: String,
    pub client: String,
    pub request_id: String,
}

impl Line {
    pub(crate) fn write(&self, timestamp: &str) -> String {
        let level = if self.status >= 500 { "warn" } else { "info" };
        let mut line = format!(r#"{{"timestamp":"{timestamp}","level":"{level}","message":"request""#);
        let mut text = |name: &str, value: &str| {
            let value = serde_json::Value::from(value);
            let _ = write!(line, r#","{name}":{value}"#); // Writing to a string does not fail.
        };
        text("method", &self.method);
        text("route", &self.path);
        text("parameters", &self.parameters);
        text("user_agent", &self.user_agent);
        text("client", &self.client);
        text("request_id", &self.request_id);
        let _ = writeln!(line, r#","status":{},"duration_ms":{:.3}}}"#, self.status, self.duration_ms);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_the_client_sends() {
        let line = Line {
            method: "POST".into(),
            path: "/image".into(),
            parameters: "prompt=34 width=512 model=a/b".into(),
            status: 503,
            duration_ms: 12.3456,
            user_agent: "curl\"\n{".into(),
            client: "127.0.0.1:5000".into(),
            request_id: "abc".into(),
        };
        let written = line.write("2026-11-23T10:30:00Z");
        assert!(written.ends_with("}\n") && written.trim_end().lines().count() == 1);
        let read: serde_json::Value = serde_json::from_str(&written).expect("it is JSON");
        assert_eq!(read["user_agent"], "curl\"\n{");
        assert_eq!(read["duration_ms"], 12.346);
        assert_eq!(read["status"], 503);
        assert_eq!(read["level"], "warn");
    }
}
