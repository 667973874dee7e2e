use hybrid_guest::types::{Conversation, Message, Role, Token};

use super::{MOST_QUOTED, SAYS, Work};

const TIDES: &str = "Tides are the rise and fall of sea levels. They are caused by the gravity of the Moon and the Sun. Some \
    shorelines see two almost equal high tides each day, called a semi-diurnal tide. Other locations have one tide a day. The \
    times and heights depend on the shape of the coast. Harbour masters publish tables of them every year.";

fn says(role: Role, text: &str) -> Message {
    Message { role, text: Some(text.to_owned()), more: None }
}

fn conversation(messages: Vec<Message>, max_tokens: Option<u32>) -> Conversation {
    Conversation { messages, max_tokens, temperature: None, more: None }
}

/// The answer by words alone, without the sentence about itself.
fn asked(messages: Vec<Message>) -> String {
    let work = Work::of(&conversation(messages, None));
    let text = work.answer(None).whole().text.expect("text");
    let own = text.strip_suffix(SAYS).expect("it says what it is").trim_end().to_owned();
    assert!(!own.contains(SAYS));
    own
}

fn user(text: &str) -> String {
    asked(vec![says(Role::User, text)])
}

#[test]
fn a_question_is_answered_from_the_text_before_it() {
    let turns = vec![says(Role::System, TIDES), says(Role::User, "What causes tides, the gravity of what?")];
    assert_eq!(asked(turns), "They are caused by the gravity of the Moon and the Sun.");
    let together = format!("{TIDES}\n\nWho publishes the tables?");
    assert_eq!(user(&together), "Harbour masters publish tables of them every year.");
}

#[test]
fn vectors_decide_where_there_are_any() {
    let turns =
        vec![says(Role::System, "Cats purr. Dogs bark loudly."), says(Role::User, "Which sound does a hound make?")];
    let work = Work::of(&conversation(turns, None));
    assert_eq!(work.wanted(), ["Which sound does a hound make?", "Cats purr.", "Dogs bark loudly."]);
    let vectors = vec![vec![1.0, 0.0], vec![0.1, 0.99], vec![0.8, 0.6]];
    let text = work.answer(Some(vectors)).whole().text.expect("text");
    assert!(text.starts_with("Dogs bark loudly.\n"), "{text}");
}

#[test]
fn a_text_is_summed_up_by_its_own_sentences() {
    for instruction in ["Summarise this:", "Fasse das zusammen:", "Résume ce texte :", "要約してください:"] {
        let short = user(&format!("{instruction}\n{TIDES}"));
        assert!(!short.is_empty() && TIDES.contains(&short), "{instruction}: {short}");
    }
    assert_eq!(user("Summarize: The tide is high today."), "The tide is high today.");
    // Its first sentence belongs to it too, and opens what is said of it.
    assert_eq!(user(&format!("Summarise: {TIDES}")), user(&format!("Summarise:\n{TIDES}")));
    // A text that asks nothing.
    assert!(TIDES.contains(&user(TIDES)));
    assert_eq!(user("Summarise, please."), "There is no text here to sum up.");
}

#[test]
fn keywords_are_what_comes_often() {
    let words = user(&format!("List the keywords of this text.\n{TIDES}"));
    assert!(words.split(", ").any(|word| word == "tides" || word == "tide"), "{words}");
    assert!(words.split(", ").all(|word| !["the", "of", "and"].contains(&word)), "{words}");
    assert!(user("キーワードを挙げて:\n東京の人口は多い。東京は首都です。").contains("東京"));
}

#[test]
fn passages_are_ranked_by_the_question() {
    let ranked = user(
        "Rank these by relevance to ocean tides:\n- Bread needs yeast.\n- Ocean tides follow the Moon.\n- Cars need fuel.",
    );
    let first = ranked.lines().next().expect("a line");
    assert!(first.starts_with("1. - Ocean tides follow the Moon. ("), "{ranked}");
    assert_eq!(ranked.lines().count(), 3);
}

#[test]
fn it_knows_the_platform() {
    assert!(user("Which endpoint of this API makes a picture?").contains("`/image`"));
    assert!(user("How do I use /tts?").contains("`/tts`"));
    assert!(user("Who are you?").contains("HTTP API"));
    assert!(user("hello").contains("Nothing in this conversation answers “hello”."));
}

#[test]
fn what_it_cannot_answer_it_quotes() {
    let question = "What is the capital of \"France\"?";
    let text = asked(vec![says(Role::System, "Be brief."), says(Role::User, question)]);
    assert!(text.contains(question), "{text}");
    let long = user(&format!("{}?", "é".repeat(700)));
    assert_eq!(long.matches('é').count(), MOST_QUOTED);
}

#[test]
fn other_languages_are_read_too() {
    let turns = vec![
        says(Role::System, "Der Fluss heißt Isar. Die Stadt hat 1,5 Millionen Einwohner."),
        says(Role::User, "Wie viele Einwohner hat die Stadt?"),
    ];
    assert_eq!(asked(turns), "Die Stadt hat 1,5 Millionen Einwohner.");
    let turns = vec![
        says(Role::System, "東京は日本の首都です。富士山は高い山です。"),
        says(Role::User, "日本の首都はどこですか？"),
    ];
    assert_eq!(asked(turns), "東京は日本の首都です。");
    let turns = vec![says(Role::System, "القط في البيت. الكلب في الحديقة."), says(Role::User, "أين القط؟")];
    assert_eq!(asked(turns), "القط في البيت.");
    for odd in ["", " \n", "🙂🙂", "?", "。", "\u{0}", "[]{}"] {
        user(odd);
    }
    asked(Vec::new());
}

#[test]
fn thousands_of_sentences_are_cut_down_before_they_are_compared() {
    let text: String = (0..3000).map(|at| format!("Sentence number {at} is about topic {}. ", at % 7)).collect();
    let work = Work::of(&conversation(
        vec![says(Role::System, &text), says(Role::User, "Which is sentence number 1234?")],
        None,
    ));
    assert_eq!(work.wanted().len(), 65);
    assert!(work.answer(None).whole().text.expect("text").contains("number 1234 "));
}

#[test]
fn max_tokens_cuts_the_answer_and_says_so() {
    let turns = vec![says(Role::System, "Dogs bark loudly."), says(Role::User, "Do dogs bark?")];
    let whole = Work::of(&conversation(turns, Some(2))).answer(None).whole();
    assert_eq!((whole.text.as_deref(), whole.finish_reason.as_str()), (Some("Dogs bark"), "length"));
    let usage = whole.usage.expect("usage");
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (6, 2, 8));
}

#[test]
fn the_pieces_make_the_whole() {
    for text in ["two  spaces\n and a line?", "東京は首都です。どこですか？"] {
        let asked = conversation(vec![says(Role::User, text)], None);
        let whole = Work::of(&asked).answer(None).whole().text.expect("text");
        let pieces = Work::of(&asked).answer(None).pieces();
        let text: String =
            pieces.iter().filter_map(|t| if let Token::Text(t) = t { Some(t.as_str()) } else { None }).collect();
        assert_eq!(text, whole);
        assert!(matches!(&pieces[pieces.len() - 2..], [Token::Finished(why), Token::Usage(_)] if why == "stop"));
    }
}

#[test]
fn a_list_of_parts_is_read_too() {
    let more = r#"{"content": [{"type": "text", "text": "What is this?"}, {"type": "image_url"}]}"#;
    let turn = Message { role: Role::User, text: None, more: Some(more.to_owned()) };
    assert!(asked(vec![turn]).contains("“What is this?”"));
}

#[test]
fn who_asks_what_the_platform_does_is_told_of_all_of_it() {
    for question in ["What can this platform do?", "What can you do", "How do I use the API?", "who are you?"] {
        assert!(user(question).starts_with("This platform serves text-to-speech"), "{question}: {}", user(question));
    }
    assert!(user("How do I edit a picture with this API?").contains("/edit-image"));
}
