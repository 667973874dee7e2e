//! What is promised of the voice, from the letters to the samples.

use std::f32::consts::TAU;

use crate::fold::fold;
use crate::letters::sounds;
use crate::phones::phone;
use crate::phrases::phrases;
use crate::prosody::{End, Phrase, Tune, Weight, timed};
use crate::reader::{Item, read};
use crate::speech::{Speech, Unspeakable};
use crate::synth::{FRAME, Frame, RATE, Synth};
use crate::track::{frames, throat};
use crate::voice::VOICES;

fn said(text: &str) -> String {
    let parts: Vec<String> = read(&fold(text).expect("Latin letters"))
        .into_iter()
        .map(|item| match item {
            Item::Word(word) => word,
            Item::Loud(word) => word.to_uppercase(),
            Item::Letters(letters, plural) => format!("<{letters}{}>", if plural { "+s" } else { "" }),
            Item::Break(End::Comma | End::Breath) => ",".to_owned(),
            Item::Break(End::Colon) => ";".to_owned(),
            Item::Break(End::Statement) => ".".to_owned(),
            Item::Break(End::Exclamation) => "!".to_owned(),
            Item::Break(End::Question) => "?".to_owned(),
            Item::Break(End::Paragraph) => "¶".to_owned(),
        })
        .collect();
    parts.join(" ")
}

#[test]
fn text_is_said_as_people_say_it() {
    let mut wrong = Vec::new();
    for (text, wanted) in [
        ("It costs $3.50, or €20.", "it costs three dollars and fifty cents , or twenty euros ."),
        ("$1.2 million and £1 and $0.99", "one point two million dollars and one pound and ninety nine cents ."),
        ("At 10:30 am, 9:05 or 14:00.", "at ten thirty <am> , nine oh five or fourteen hundred ."),
        ("January 5, 2024", "january fifth , twenty twenty four ."),
        ("on 2024-03-15", "on march fifteenth , twenty twenty four ."),
        ("5 January", "the fifth of january ."),
        ("Dr. Smith met Mr. Jones.", "doctor smith met mister jones ."),
        ("I live on Baker St. in London.", "i live on baker street in london ."),
        ("It is 5 ft. 3 in. tall at 221B.", "it is five feet three inches tall at two hundred twenty one <b> ."),
        ("24/7 #fun", "twenty four seven hashtag fun ."),
        ("No. 5 said no. Yes.", "number five said no . yes ."),
        (
            "3.5% of 1,234,567",
            "three point five percent of one million two hundred thirty four thousand five hundred sixty seven .",
        ),
        (
            "-5°C at 100km/h with 5 GB",
            "minus five degrees celsius at one hundred kilometers per hour with five gigabytes .",
        ),
        ("the 1990s and the 21st century", "the nineteen nineties and the twenty first century ."),
        ("World War II", "world war two ."),
        ("2½ cups, 3/4 full", "two and a half cups , three quarters full ."),
        ("pages 3–7", "pages three to seven ."),
        ("Call 555-1234", "call five five five , one two three four ."),
        ("the USA, APIs and NASA", "the <usa> , <api+s> and nasa ."),
        ("e.g. HTTP", "for example <http> ."),
        ("STOP! now", "STOP ! now ."),
        ("https://www.example.com/a-page", "<w> <w> <w> dot example dot com slash <a> dash page ."),
        ("me@example.org", "me at example dot org ."),
        ("GPT-4 and mp3", "<gpt> four and <mp> three ."),
        ("R&D + love", "<r> and <d> plus love ."),
        ("Café naïve 🎉", "cafe naive ."),
        ("**Bold** and `code`", "bold and code ."),
        ("\"Really?\" she asked (twice).", "really ? she asked , twice ."),
        ("wait -- what...", "wait ; what ."),
        ("one\n\ntwo", "one ¶ two ."),
        ("the dogs' and the boss's", "the dogs' and the boss's ."),
        ("version 1.2.3", "version one point two point three ."),
        ("π is near 3.14", "pi is near three point one four ."),
    ] {
        check(&mut wrong, text, &said(text), wanted);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn check(wrong: &mut Vec<String>, of: &str, found: &str, wanted: &str) {
    if found != wanted {
        wrong.push(format!("{of}: {found} instead of {wanted}"));
    }
}

#[test]
fn nothing_breaks_the_reader() {
    let odd = "$ $$ -$5 1/0 0/0 25:99 99:99:99 1:2 1,2,3 .. 3..4 --- 'a' 's ''' \"\" 1e400 a@b @ # 12th 0th 99999999999999999999th \
               $99999999999999999999.99 1-2-3-4 -- 5- -5- +1 + 1.2.3.4.5 http:// www. x=1&y=2 1°2° 4²³ ½½ 1990ss 3pmpm 12am13 \
               2024-99-99 T Z 1T2 é́́́ I II III LXXXIX 10.10.10 (((( ))) [x](y) 1.%";
    for text in odd.split(' ').chain([odd]) {
        if let Ok(plain) = fold(text) {
            for phrase in phrases(&read(&plain)) {
                assert!(phrase.words.iter().all(|word| !word.sounds.is_empty()), "{text}");
            }
        }
    }
}

#[test]
fn words_sound_as_in_the_dictionary_and_by_rule_where_there_is_none() {
    let mut wrong = Vec::new();
    for (word, wanted) in [
        ("hello", "h@l'o"),
        ("through", "Tr'u"),
        ("enough", "In'Vf"),
        ("people", "p'ip@l"),
        ("women", "w'Im@n"),
        ("colonel", "k'Rn@l"),
        ("photograph", "f'ot@gr,af"),
        ("photography", "f@t'Agr@fi"),
        ("walked", "w'Okt"),
        ("wanted", "w'OntId"),
        ("boxes", "b'Aks@z"),
        ("dogs'", "d'Ogz"),
        ("running", "r'VnIG"),
        // In no dictionary.
        ("blorf", "bl'Orf"),
        ("snitting", "sn'ItIG"),
        ("webhook", "w'EbhUk"),
    ] {
        check(&mut wrong, word, &sounds(word), wanted);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for word in ["supercalifragilistic", "qzxv", "a", "zzz", "o'er", "rhythmically"] {
        let sounds = sounds(word);
        assert!(sounds.chars().all(|sound| matches!(sound, '\'' | ',') || phone(sound).is_some()), "{word} {sounds}");
        assert!(!sounds.is_empty(), "{word}");
    }
}

fn phrase(text: &str) -> Phrase {
    phrases(&read(text)).into_iter().next().expect("a phrase")
}

#[test]
fn the_same_letters_sound_as_their_sentence_wants() {
    let sounds = |text: &str| phrase(text).words.iter().map(|word| word.sounds.clone()).collect::<Vec<_>>().join(" ");
    assert!(sounds("the apple and the pear").starts_with("Di 'ap@l @nd D@ "));
    assert!(sounds("I have read it").contains("r'Ed"));
    assert!(sounds("I read it daily").contains("r'id"));
    assert!(sounds("they record a record now").contains("rIk'Ord @ r'EkRd"));
    assert!(sounds("what is it for").ends_with("f'Or"));
    assert_eq!(phrase("it is a dog").words[3].weight, Weight::Content);
}

#[test]
fn long_sentences_are_broken_where_one_breathes() {
    let text = "the quick brown fox jumped over the lazy dog because the hunter was near and the day was late \
                so it ran into the woods where nobody could find it until the next morning came";
    let parts = phrases(&read(text));
    assert!(parts.len() > 2, "{}", parts.len());
    assert!(parts.iter().all(|part| part.words.len() <= 18));
    assert!(parts[..parts.len() - 1].iter().all(|part| part.end == End::Breath));
    let endless = "word ".repeat(1000);
    assert!(phrases(&read(&endless)).iter().all(|part| part.words.len() <= 18));
}

#[test]
fn questions_rise_and_statements_fall() {
    let movement = |text: &str| {
        let phrase = phrase(text);
        let segments = timed(&phrase, 1.0);
        let tune = Tune::of(&phrase, &segments);
        let end: f32 = segments[..segments.len() - 1].iter().map(|segment| segment.milliseconds).sum();
        tune.at(end) - tune.at(0.3 * end)
    };
    assert!(movement("Is it raining?") > 3.0);
    assert!(movement("It is raining.") < -3.0);
    assert!(movement("Where is it raining?") < -3.0, "what asks with a word falls");
}

#[test]
fn sounds_are_long_where_they_should_be() {
    let length = |text: &str, symbol: char| {
        let segments = timed(&phrase(text), 1.0);
        segments.iter().find(|it| it.phone.symbol == symbol).map(|it| it.milliseconds).expect("the sound")
    };
    assert!(length("bead", 'i') > 1.2 * length("beat", 'i'), "a vowel is longer before a voiced consonant");
    assert!(length("the pan", 'a') > 1.2 * length("the pan was here", 'a'), "and at the end of a phrase");
    assert!(length("about", '@') < 0.7 * length("about", 'W'), "and in a stressed syllable");
}

/// How strong a tone of so many hertz is in the samples.
fn goertzel(samples: &[f32], hertz: f32) -> f32 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = TAU * hertz * at as f32 / RATE as f32;
        let window = 0.5 - 0.5 * (TAU * at as f32 / samples.len() as f32).cos();
        sine += sample * window * angle.sin();
        cosine += sample * window * angle.cos();
    }
    sine.hypot(cosine) / samples.len() as f32
}

/// Energy in a band, from tones 20 Hz apart.
fn band(samples: &[f32], from: f32, to: f32) -> f32 {
    let count = ((to - from) / 20.0) as usize;
    (0..=count).map(|at| goertzel(samples, from + 20.0 * at as f32).powi(2)).sum::<f32>() / (count + 1) as f32
}

#[test]
fn formants_are_where_the_vowel_wants_them() {
    for symbol in ['i', 'a', 'A', 'u', 'E'] {
        let phone = phone(symbol).expect("a vowel");
        let frame = Frame {
            pitch: 90.0,
            voicing: 0.2,
            aspiration: 0.0,
            formants: phone.formants,
            bandwidths: phone.bandwidths,
            noise: [0.0; 7],
            nasal: 0.0,
            tilt: 0.0,
        };
        let mut synth = Synth::new(throat(&VOICES[0]), frame);
        let mut samples = Vec::new();
        for _ in 0..120 {
            synth.frame(&frame, &mut samples);
        }
        let samples = &samples[20 * FRAME..];
        let [f1, f2, f3] = phone.formants;
        for (formant, dip) in [(f1, 0.5 * (f1 + f2)), (f2, 0.5 * (f2 + f3))] {
            // Formants that are near each other have no dip between them.
            if (dip - formant).abs() < 300.0 {
                continue;
            }
            let (peak, dip) = (band(samples, formant - 70.0, formant + 70.0), band(samples, dip - 70.0, dip + 70.0));
            assert!(peak > 3.0 * dip, "{symbol} at {formant} Hz: {peak} against {dip}");
        }
    }
}

fn samples(text: &str, voice: usize, speed: f32) -> Vec<i16> {
    let mut speech = Speech::of(text, &VOICES[voice], speed).expect("it can be spoken");
    let header = speech.header();
    let mut bytes = Vec::new();
    while let Some(piece) = speech.piece() {
        bytes.extend(piece);
    }
    assert_eq!(u32::from_le_bytes([header[40], header[41], header[42], header[43]]) as usize, bytes.len(), "{text}");
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&sample| f32::from(sample) / 32_768.0).collect()
}

const PANGRAM: &str = "The quick brown fox jumps over the lazy dog, while five wizards box. Is she sure? Yes!";

#[test]
fn every_voice_is_loud_enough_and_neither_clips_nor_clicks() {
    for voice in 0..VOICES.len() {
        let samples = samples(PANGRAM, voice, 1.0);
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!((8_000..32_000).contains(&peak), "{voice}: {peak}");
        let energy = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64;
        let level = 20.0 * (energy.sqrt() / 32_768.0).log10();
        assert!((-26.0..-16.0).contains(&level), "{voice}: {level} dB");
        let bias = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len() as f64;
        assert!(bias.abs() < 60.0, "{voice}: {bias}");
        assert!(samples[0].abs() < 400 && samples.last().is_some_and(|last| last.abs() < 100), "{voice}");
        // The pause after a sentence is silent, and no sample in it jumps.
        let tail = &samples[samples.len() - RATE as usize / 5..];
        assert!(tail.iter().all(|sample| sample.abs() < 120), "{voice}");
    }
}

#[test]
fn speed_changes_the_length_and_not_the_pitch() {
    let text = "We were away all morning.";
    let lengths = [0.25, 0.5, 1.0, 2.0, 4.0].map(|speed| samples(text, 0, speed).len() as f32 * speed);
    let (least, most) = (lengths.iter().copied().fold(f32::MAX, f32::min), lengths.iter().copied().fold(0.0, f32::max));
    assert!(most / least < 1.02, "{lengths:?}");
    for speed in [0.5, 1.0, 2.0] {
        let samples = floats(&samples(text, 0, speed));
        let pitch = pitch(&samples[samples.len() / 5..samples.len() * 2 / 5]);
        assert!((95.0..165.0).contains(&pitch), "{speed}: {pitch}");
    }
}

/// By the best correlation of the samples with themselves, later.
fn pitch(samples: &[f32]) -> f32 {
    let score = |lag: usize| -> f32 {
        let product: f32 = samples.iter().zip(&samples[lag..]).map(|(one, other)| one * other).sum();
        product / (samples.len() - lag) as f32
    };
    let best = (RATE as usize / 350..RATE as usize / 70).max_by(|&one, &other| score(one).total_cmp(&score(other)));
    RATE as f32 / best.expect("lags") as f32
}

#[test]
fn voices_differ_in_pitch() {
    let pitches: Vec<f32> = (0..VOICES.len())
        .map(|voice| {
            let samples = floats(&samples("We were away all morning.", voice, 1.0));
            pitch(&samples[samples.len() / 5..samples.len() * 2 / 5])
        })
        .collect();
    let near = |own: f32, wanted: f32| (own / wanted).log2().abs() < 0.5;
    for (pitch, voice) in pitches.iter().zip(VOICES) {
        assert!(near(*pitch, voice.pitch), "{pitches:?}");
    }
    assert!(pitches[1] > 1.4 * pitches[0] && pitches[2] < pitches[0] && pitches[3] > pitches[1], "{pitches:?}");
}

#[test]
fn an_s_hisses_and_a_vowel_does_not() {
    let phrase = phrase("see");
    let segments = timed(&phrase, 1.0);
    let tune = Tune::of(&phrase, &segments);
    let frames = frames(&segments, &tune, &VOICES[0], 1.0);
    let mut synth = Synth::new(throat(&VOICES[0]), frames[0]);
    let mut samples = Vec::new();
    for frame in &frames {
        synth.frame(frame, &mut samples);
    }
    let at = |milliseconds: f32| (milliseconds * RATE as f32 / 1000.0) as usize;
    let (s, vowel) = (segments[0].milliseconds, segments[1].milliseconds);
    let hiss = &samples[at(0.4 * s)..at(0.8 * s)];
    let tone = &samples[at(s + 0.4 * vowel)..at(s + 0.7 * vowel)];
    assert!(band(hiss, 5000.0, 8000.0) > 20.0 * band(hiss, 200.0, 2000.0));
    assert!(band(tone, 200.0, 2000.0) > 20.0 * band(tone, 5000.0, 8000.0));
}

#[test]
fn equal_texts_give_equal_bytes_and_pieces_stay_small() {
    assert_eq!(samples(PANGRAM, 1, 1.0), samples(PANGRAM, 1, 1.0));
    let long = "the cat sat on the mat and looked at the rain ".repeat(110);
    let mut speech = Speech::of(&long[..5000], &VOICES[0], 0.25).expect("it can be spoken");
    let mut largest = 0;
    while let Some(piece) = speech.piece() {
        largest = largest.max(piece.len());
    }
    assert!(largest < 3_000_000, "{largest}");
}

#[test]
fn what_is_no_english_is_not_spoken() {
    let refused = |text: &str| Speech::of(text, &VOICES[0], 1.0).err();
    assert!(matches!(refused("Привет"), Some(Unspeakable::Foreign(_))));
    for text in ["", "...", "🎉", "\u{200b}", "---"] {
        assert_eq!(refused(text), Some(Unspeakable::Nothing), "{text}");
    }
    assert_eq!(refused("ok"), None);
}
