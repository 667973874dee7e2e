use super::*;

const TYPE: &str = "multipart/form-data; boundary=XyZ";

/// Reads the body in pieces of every size, which must make no difference.
fn read(content_type: &str, body: &[u8]) -> Result<Form, Malformed> {
    let mut outcomes = [1, 2, 3, 7, 64, body.len().max(1)].map(|size| {
        let mut parser = Parser::new(content_type, &["audio", "file"])?;
        for piece in body.chunks(size) {
            parser.push(piece)?;
        }
        parser.finish()
    });
    let seen = format!("{:?}", outcomes[0]);
    assert!(outcomes.iter().all(|outcome| format!("{outcome:?}") == seen), "{outcomes:?}");
    std::mem::replace(&mut outcomes[0], Ok(Form::default()))
}

fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    [format!("--XyZ\r\n{headers}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
}

const AUDIO: &str = "Content-Disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\nContent-Type: text/plain";
const MODEL: &str = "content-disposition: form-data; name=model";

#[test]
fn parts_come_in_any_order_and_type() {
    let sound = b"RIFF\r\n--Xy\0\xff\r\n";
    let (audio, model) = (part(AUDIO, sound), part(MODEL, b"openai/whisper-base"));
    for parts in [[&audio, &model], [&model, &audio]] {
        let mut form = read(TYPE, &[parts[0].as_slice(), parts[1], b"--XyZ--\r\n"].concat()).expect("a form");
        assert_eq!(form.text("model"), Some("openai/whisper-base"));
        assert_eq!(form.take_file("audio"), Some(vec![sound.to_vec()]));
        assert_eq!(form.take_file("audio"), None);
    }
}

#[test]
fn preamble_epilogue_and_missing_line_ends_are_taken() {
    let model = part(MODEL, b"a/b");
    for body in [
        [b"hello\r\n".as_slice(), &model, b"--XyZ--"].concat(),
        [model.as_slice(), b"--XyZ--\r\nbye --XyZ"].concat(),
        [model.as_slice(), b"--XyZ--\r"].concat(),
    ] {
        assert_eq!(read(TYPE, &body).expect("a form").text("model"), Some("a/b"));
    }
}

#[test]
fn a_quoted_boundary_is_read() {
    let body = b"--a b;c\r\nContent-Disposition: form-data; name=\"x\\\"y\"\r\n\r\n1\r\n--a b;c--";
    let form = read("multipart/form-data; charset=utf-8; boundary=\"a b;c\"", body).expect("a form");
    assert_eq!(form.text("x\"y"), Some("1"));
}

#[test]
fn empty_parts_and_files_nobody_asked_for() {
    let other = "Content-Disposition: form-data; name=\"other\"; filename=\"big.bin\"";
    let body = [part(AUDIO, b""), part(MODEL, b""), part(other, b"xxx"), b"--XyZ--\r\n".to_vec()].concat();
    let mut form = read(TYPE, &body).expect("a form");
    assert_eq!(form.take_file("audio"), Some(Chunks::new()));
    assert_eq!(form.text("model"), None);
    assert_eq!(form.text("other"), None);
    assert_eq!(form.take_file("other"), None);
}

#[test]
fn a_part_without_headers_is_passed_over() {
    let body = [b"--XyZ\r\n\r\nlost\r\n".as_slice(), &part(MODEL, b"a/b"), b"--XyZ--"].concat();
    assert_eq!(read(TYPE, &body).expect("a form").text("model"), Some("a/b"));
}

#[test]
fn the_last_of_two_files_counts() {
    let body = [part(AUDIO, b"one"), part(AUDIO, b"two"), b"--XyZ--".to_vec()].concat();
    assert_eq!(read(TYPE, &body).expect("a form").take_file("audio"), Some(vec![b"two".to_vec()]));
}

#[test]
fn what_is_no_form_is_refused() {
    let long = format!("Content-Disposition: form-data; name=\"{}\"", "n".repeat(MAX_HEADER_BYTES));
    let text = vec![b'x'; MAX_TEXT_BYTES + 1];
    for body in [
        b"".to_vec(),
        b"{\"text\": 1}".to_vec(),
        part(MODEL, b"a/b"),
        b"--XyZ\r\nContent-Disposition: form-data; name=\"audio\"\r\n".to_vec(),
        b"--XyZoops\r\n\r\n\r\n--XyZ--".to_vec(),
        [part(&long, b"1"), b"--XyZ--".to_vec()].concat(),
        [part(MODEL, &text), b"--XyZ--".to_vec()].concat(),
        [part(MODEL, b"1").repeat(MAX_PARTS + 1), b"--XyZ--".to_vec()].concat(),
    ] {
        assert!(read(TYPE, &body).is_err(), "{:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x"] {
        assert!(Parser::new(content_type, &[]).is_err(), "{content_type}");
    }
}

#[test]
fn a_large_file_is_kept_in_pieces() {
    let sound: Vec<u8> = (0..3 * CHUNK_BYTES + 17).map(|index| (index % 251) as u8).collect();
    let mut parser = Parser::new(TYPE, &["audio"]).expect("a boundary");
    for piece in [part(AUDIO, &sound), b"--XyZ--\r\n".to_vec()].concat().chunks(64 * 1024) {
        parser.push(piece).expect("a part");
    }
    let chunks = parser.finish().expect("a form").take_file("audio").expect("a file");
    assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK_BYTES));
    assert_eq!(chunks.concat(), sound);
}
