//! How settings are called in the environment.

/// The settings there are; only these are listed, for an environment holds much that is nobody's business.
const SETTINGS: &[&str] = &[
    "access_log",
    "address_pictures_per_minute",
    "address_requests_per_minute",
    "address_tokens_per_minute",
    "allowed_origins",
    "attempt_timeout_ms",
    "breaker_failures",
    "breaker_open_ms",
    "hf_api_key",
    "hf_auth",
    "hf_base_url",
    "hf_hub_url",
    "local_after_failure",
    "key_pictures_per_minute",
    "key_requests_per_minute",
    "key_tokens_per_minute",
    "limit_lease",
    "max_embedding_chars",
    "max_held_picture_bytes",
    "max_llm_chars",
    "max_llm_messages",
    "max_model_side",
    "max_picture_pixels",
    "max_picture_side",
    "max_prompt_chars",
    "max_tts_chars",
    "max_upload_bytes",
    "models",
    "not_served_ms",
    "poll_ms",
    "require_key",
    "retry_attempts",
    "retry_initial_ms",
    "retry_max_ms",
    "stream_keep_alive_ms",
    "total_timeout_ms",
];
const CAPABILITIES: &[&str] = &["tts", "stt", "image", "image_edit", "llm", "embedding"];
const OF_EACH: &[&str] = &["choice", "models", "stand_in"];

/// The setting's value: that of the variable of the same name in capitals.
pub(crate) fn value(key: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    match key {
        // HF_TOKEN is what HuggingFace's own tools read.
        "hf_api_key" => set("HF_API_KEY").or_else(|| set("HF_TOKEN")),
        _ => set(&key.to_ascii_uppercase()),
    }
}

/// Every known setting that is set.
pub(crate) fn all(variable: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let of_each = CAPABILITIES.iter().flat_map(|own| OF_EACH.iter().map(move |what| format!("{own}_{what}")));
    let keys = SETTINGS.iter().map(|&key| key.to_owned()).chain(of_each);
    keys.filter_map(|key| value(&key, &variable).map(|value| (key, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "HF_BASE_URL" => "http://127.0.0.1:9000",
            "HF_API_KEY" => "",
            "HF_TOKEN" => "token",
            "LLM_MODELS" => "a/one,b/two",
            "PATH" => "/bin",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_setting_is_the_variable_in_capitals() {
        assert_eq!(value("hf_base_url", environment).as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(value("allowed_origins", environment), None);
        assert_eq!(value("llm models", environment), None);
    }

    #[test]
    fn an_empty_key_gives_way_to_the_token() {
        assert_eq!(value("hf_api_key", environment).as_deref(), Some("token"));
        assert_eq!(value("hf_api_key", |name| (name == "HF_API_KEY").then(|| "key".into())).as_deref(), Some("key"));
    }

    #[test]
    fn only_settings_are_listed() {
        let all = all(environment);
        let keys: Vec<&str> = all.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["hf_api_key", "hf_base_url", "llm_models"]);
    }
}
