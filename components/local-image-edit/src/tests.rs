use hybrid_guest::types::Reason;
use hybrid_picture::{Limits, Pixels, colour};

use crate::edit::{Edit, png, worked};
use crate::operation::{Operation, Place, Reach, Shape, Step, Texture, Tone};
use crate::tone::luma;
use crate::{inpaint, prompt};

fn picture(width: u32, height: u32, of: impl Fn(u32, u32) -> [u8; 3]) -> Pixels {
    let data = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| of(x, y)).collect();
    Pixels::new(width, height, 3, data)
}

/// Something of everything: ramps, edges and grain.
fn some(width: u32, height: u32) -> Pixels {
    picture(width, height, |x, y| {
        let grain = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).wrapping_mul(2_654_435_761) >> 27;
        let edge = if (x / 9 + y / 7).is_multiple_of(2) { 90 } else { 0 };
        [(x * 5 % 160 + grain + edge) as u8, (y * 3 % 150 + grain) as u8, ((x + y) * 2 % 200 + edge / 2) as u8]
    })
}

fn with(picture: &Pixels, mask: Option<Vec<u8>>, strength: f32, operation: impl Into<Operation>) -> Pixels {
    let steps = [Step { operation: operation.into(), place: Place::All }];
    worked(picture.clone(), mask, &steps, strength, 5, Limits::default().max_pixels, || true)
        .unwrap_or_else(|why| panic!("{why:?}"))
}

fn done(picture: &Pixels, operation: impl Into<Operation>) -> Pixels {
    with(picture, None, 1.0, operation)
}

fn asked(picture: &Pixels, mask: Option<Vec<u8>>, prompt: &str) -> Pixels {
    let steps = prompt::steps(prompt, mask.is_some()).unwrap_or_else(|why| panic!("`{prompt}`: {why:?}"));
    worked(picture.clone(), mask, &steps, 1.0, 5, Limits::default().max_pixels, || true)
        .unwrap_or_else(|why| panic!("{why:?}"))
}

fn at(picture: &Pixels, x: u32, y: u32) -> [u8; 3] {
    let channels = usize::from(picture.channels);
    let at = (y * picture.width + x) as usize * channels;
    [picture.data[at], picture.data[at + 1], picture.data[at + 2]]
}

/// The largest difference of two pictures' samples.
fn apart(one: &Pixels, other: &Pixels) -> u8 {
    assert_eq!((one.width, one.height, one.channels), (other.width, other.height, other.channels));
    one.data.iter().zip(&other.data).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
}

fn mean(picture: &Pixels) -> f64 {
    picture.data.iter().map(|&sample| f64::from(sample)).sum::<f64>() / picture.data.len() as f64
}

/// Every operation that keeps the size.
fn all() -> Vec<Operation> {
    let red = colour::name("red").expect("a colour");
    let tones = [
        Tone::Brightness(0.3),
        Tone::Brightness(-0.3),
        Tone::Contrast(0.4),
        Tone::Contrast(-0.4),
        Tone::Saturation(0.5),
        Tone::Saturation(-1.0),
        Tone::Exposure(0.7),
        Tone::Gamma(1.6),
        Tone::Warmth(0.4),
        Tone::Shadows(0.4),
        Tone::Highlights(-0.4),
        Tone::Cast(red, 0.4),
        Tone::Tint(red, 0.6),
        Tone::Hue(40.0),
        Tone::Sepia(1.0),
        Tone::Invert,
        Tone::Posterise(4),
        Tone::Threshold(0.4),
    ];
    let usual = Reach::Usual(1.0);
    let textures = [
        Texture::Blur(Reach::Pixels(1.5)),
        Texture::Blur(Reach::Pixels(6.0)),
        Texture::Sharpen(0.8),
        Texture::Pixelate(Reach::Pixels(5.0)),
        Texture::Oil(usual),
        Texture::Sketch,
        Texture::Edges,
        Texture::Noise(0.1),
        Texture::Denoise(1.0),
        Texture::Vignette(0.5),
    ];
    let fill = Operation::Fill(red);
    tones.into_iter().map(Operation::Tone).chain(textures.into_iter().map(Operation::Texture)).chain([fill]).collect()
}

#[test]
fn each_operation_changes_the_picture_and_keeps_its_size() {
    let own = some(70, 50);
    for operation in all() {
        let new = done(&own, operation);
        assert_eq!((new.width, new.height), (70, 50), "{operation:?}");
        assert!(apart(&own, &new) > 8, "{operation:?} changes nothing");
    }
}

#[test]
fn bands_do_not_show() {
    // Tall enough for several bands; a strip cut out with all its surroundings must come out the same.
    let own = some(24, 700);
    for operation in all() {
        let new = done(&own, operation);
        let Operation::Texture(texture) = operation else { continue };
        let (reach, _) = texture.needs(24, 700);
        if matches!(texture, Texture::Noise(_) | Texture::Vignette(_)) {
            continue;
        }
        let mut whole =
            crate::band::Band { data: own.data.clone(), width: 24, rows: 700, channels: 3, top: 0, height: 700 };
        texture.apply(&mut whole, 5);
        // Sums of fractions end a little differently where they begin elsewhere.
        let other = whole.data.iter().zip(&new.data).filter(|(one, other)| one.abs_diff(**other) > 1).count();
        assert!(other * 500 <= new.data.len(), "{texture:?} with a reach of {reach}: {other}");
    }
}

#[test]
fn strength_says_how_much() {
    let own = some(60, 40);
    for operation in all() {
        let change = |strength: f32| -> u64 {
            let new = with(&own, None, strength, operation);
            own.data.iter().zip(&new.data).map(|(one, other)| u64::from(one.abs_diff(*other))).sum()
        };
        let [none, some, much, full] = [0.0, 0.3, 0.6, 1.0].map(change);
        assert_eq!(none, 0, "{operation:?}");
        assert!(some < much && much < full, "{operation:?}: {some} {much} {full}");
    }
}

#[test]
fn only_what_the_mask_shows_changes() {
    let own = some(60, 60);
    let mask: Vec<u8> =
        (0..3600).map(|at| if (15..45).contains(&(at % 60)) && at / 60 > 20 { 255 } else { 0 }).collect();
    for operation in all() {
        let (new, whole) = (with(&own, Some(mask.clone()), 1.0, operation), done(&own, operation));
        for y in 0..60 {
            for x in 0..60 {
                let inside = (15..45).contains(&x) && y > 20;
                let deep = (25..35).contains(&x) && y > 30;
                assert!(inside || at(&new, x, y) == at(&own, x, y), "{operation:?} at {x} {y}");
                assert!(!deep || at(&new, x, y) == at(&whole, x, y), "{operation:?} at {x} {y}");
            }
        }
    }
}

#[test]
fn tones_are_what_their_formulas_say() {
    let own = some(40, 30);
    let each = |operation: Tone, by: &dyn Fn([f64; 3]) -> [f64; 3]| {
        let new = done(&own, operation);
        for y in 0..30 {
            for x in 0..40 {
                let want = by(at(&own, x, y).map(f64::from)).map(|sample| sample.clamp(0.0, 255.0));
                let got = at(&new, x, y);
                let near = want.iter().zip(got).all(|(want, got)| (want - f64::from(got)).abs() <= 1.6);
                assert!(near, "{operation:?} of {:?} is {got:?}, and should be {want:?}", at(&own, x, y));
            }
        }
    };
    let gray = |[r, g, b]: [f64; 3]| (77.0 * r + 150.0 * g + 29.0 * b) / 256.0;
    each(Tone::Brightness(-0.3), &|rgb| rgb.map(|v| v * 0.7));
    each(Tone::Brightness(0.5), &|rgb| rgb.map(|v| 255.0 - 255.0 * (1.0 - v / 255.0).powf(1.5)));
    each(Tone::Contrast(-0.4), &|rgb| rgb.map(|v| 127.5 + (v - 127.5) * 0.6));
    each(Tone::Saturation(0.5), &|rgb| rgb.map(|v| gray(rgb) + 1.5 * (v - gray(rgb))));
    each(Tone::Saturation(-1.0), &|rgb| [gray(rgb); 3]);
    each(Tone::Gamma(2.0), &|rgb| rgb.map(|v| 255.0 * (v / 255.0).sqrt()));
    each(Tone::Invert, &|rgb| rgb.map(|v| 255.0 - v));
    each(Tone::Posterise(3), &|rgb| rgb.map(|v| (v / 127.5).round() * 127.5));
    each(Tone::Hue(0.0), &|rgb| rgb);
    each(Tone::Sepia(1.0), &|[r, g, b]| {
        [0.393 * r + 0.769 * g + 0.189 * b, 0.349 * r + 0.686 * g + 0.168 * b, 0.272 * r + 0.534 * g + 0.131 * b]
    });
    let half = done(&own, Tone::Threshold(0.5));
    assert!((0..40).all(|x| {
        let white = luma(at(&own, x, 9)) >= 128;
        at(&half, x, 9) == [if white { 255 } else { 0 }; 3]
    }));
}

#[test]
fn colours_go_where_they_are_sent() {
    let gray = picture(16, 16, |_, _| [120; 3]);
    let seen = |prompt: &str| at(&asked(&gray, None, prompt), 8, 8);
    let [r, _, b] = seen("warmer");
    assert!(r > b + 15, "{r} {b}");
    let [r, _, b] = seen("make it cooler");
    assert!(b > r + 15, "{r} {b}");
    let [r, g, b] = seen("more green");
    assert!(g > r + 10 && g > b + 10, "{r} {g} {b}");
    let [r, g, b] = seen("Make the sky sunset orange");
    assert!(r > g + 40 && g > b + 20, "{r} {g} {b}");
    // A full turn of the hue through thirds of the circle.
    let red = picture(4, 4, |_, _| [200, 40, 40]);
    let [r, g, b] = at(&asked(&red, None, "hue shift by 120 degrees"), 1, 1);
    assert!(g > r && g > b, "{r} {g} {b}");
}

#[test]
fn blurs_are_those_of_the_bell_curve() {
    let own = some(40, 36);
    for sigma in [0.8_f32, 2.0, 6.0] {
        let new = done(&own, Texture::Blur(Reach::Pixels(sigma)));
        let mut most = 0.0_f64;
        for y in 0..36_i32 {
            for x in 0..40_i32 {
                let (mut sum, mut weights) = (0.0, 0.0);
                let far = (4.0 * sigma) as i32;
                for dy in -far..=far {
                    for dx in -far..=far {
                        let weight = (-f64::from(dx * dx + dy * dy) / (2.0 * f64::from(sigma).powi(2))).exp();
                        let (x, y) = ((x + dx).clamp(0, 39) as u32, (y + dy).clamp(0, 35) as u32);
                        sum += weight * f64::from(at(&own, x, y)[1]);
                        weights += weight;
                    }
                }
                most = most.max((sum / weights - f64::from(at(&new, x as u32, y as u32)[1])).abs());
            }
        }
        // Wide ones are made of boxes, which the edge of so small a picture shows.
        assert!(most < if sigma < 4.0 { 1.6 } else { 6.0 }, "sigma {sigma} is {most} off");
    }
    let even = picture(30, 30, |_, _| [9, 100, 250]);
    for sigma in [0.5, 3.0, 12.0] {
        assert_eq!(done(&even, Texture::Blur(Reach::Pixels(sigma))), even);
    }
}

#[test]
fn mosaics_are_means_of_blocks() {
    let own = some(33, 21);
    let new = done(&own, Texture::Pixelate(Reach::Pixels(8.0)));
    for (x, y) in [(0, 0), (9, 3), (32, 20), (17, 16)] {
        let (left, top) = (x / 8 * 8, y / 8 * 8);
        let block: Vec<u32> = (top..(top + 8).min(21))
            .flat_map(|y| (left..(left + 8).min(33)).map(move |x| (x, y)))
            .map(|(x, y)| u32::from(at(&own, x, y)[0]))
            .collect();
        let want = (block.iter().sum::<u32>() as f64 / block.len() as f64).round() as u8;
        assert!(at(&new, x, y)[0].abs_diff(want) <= 1, "{x} {y}");
    }
    assert_eq!(done(&own, Texture::Pixelate(Reach::Pixels(1.0))), own);
}

#[test]
fn edges_and_lines_are_where_the_picture_changes() {
    let own = picture(40, 40, |x, _| [if x < 20 { 20 } else { 220 }; 3]);
    let edges = done(&own, Texture::Edges);
    assert_eq!((at(&edges, 5, 20), at(&edges, 20, 20), at(&edges, 35, 20)), ([0; 3], [255; 3], [0; 3]));
    let sketch = done(&own, Texture::Sketch);
    assert!(at(&sketch, 2, 20)[0] > 250 && at(&sketch, 19, 20)[0] < 200 && at(&sketch, 38, 20)[0] > 250);
    let oil = done(&own, Texture::Oil(Reach::Usual(1.0)));
    // A brush keeps an edge where it is.
    assert_eq!((at(&oil, 19, 20), at(&oil, 20, 20)), ([20; 3], [220; 3]));
}

#[test]
fn noise_goes_and_edges_stay() {
    let clean = picture(60, 60, |x, _| [if x < 30 { 60 } else { 190 }; 3]);
    let noisy = done(&clean, Texture::Noise(0.04));
    let off = |picture: &Pixels| -> f64 {
        let squares = picture.data.iter().zip(&clean.data).map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2));
        (squares.sum::<f64>() / clean.data.len() as f64).sqrt()
    };
    let calm = done(&noisy, Texture::Denoise(1.0));
    assert!(off(&noisy) > 6.0 && off(&calm) < off(&noisy) * 0.6, "{} {}", off(&noisy), off(&calm));
    assert!(at(&calm, 31, 30)[0] - at(&calm, 28, 30)[0] > 90);
    let even = picture(60, 60, |_, _| [128; 3]);
    assert!((mean(&done(&even, Texture::Noise(0.1))) - 128.0).abs() < 2.0);
}

#[test]
fn turns_and_flips_come_back() {
    let own = some(31, 17);
    let twice = |shape: Shape| done(&done(&own, shape), shape);
    assert_eq!(twice(Shape::Mirror), own);
    assert_eq!(twice(Shape::Flip), own);
    assert_eq!(twice(Shape::Rotate(180.0)), own);
    let quarter = done(&own, Shape::Rotate(90.0));
    assert_eq!((quarter.width, quarter.height), (17, 31));
    for (x, y) in [(0, 0), (30, 16), (7, 3)] {
        assert_eq!(at(&quarter, 16 - y, x), at(&own, x, y));
    }
    assert_eq!(done(&quarter, Shape::Rotate(-90.0)), own);
    assert_eq!((0..4).fold(own.clone(), |picture, _| done(&picture, Shape::Rotate(90.0))), own);
    assert_eq!(done(&own, Shape::Mirror), done(&done(&own, Shape::Flip), Shape::Rotate(180.0)));
}

#[test]
fn any_angle_is_near_the_whole_turn() {
    let own = picture(64, 64, |x, y| [(x * 2 + 60) as u8, (y * 2 + 60) as u8, 120]);
    let there = done(&own, Shape::Rotate(30.0));
    assert_eq!((there.width, there.height), (87, 87));
    assert_eq!(at(&there, 1, 1), [255; 3]);
    let back = asked(&there, None, "rotate by -30 degrees, then crop to 64x64");
    for (x, y) in [(32, 32), (10, 40), (50, 20)] {
        let (one, other) = (at(&own, x, y), at(&back, x, y));
        assert!(one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= 4), "{one:?} {other:?}");
    }
    let straight = done(&own, Shape::Straighten(5.0));
    assert!(straight.width < 64 && straight.width > 50);
    assert!(straight.data.chunks_exact(3).all(|pixel| pixel != [255; 3]));
}

#[test]
fn crops_and_sizes_are_exact() {
    let own = some(120, 80);
    let size = |prompt: &str| {
        let new = asked(&own, None, prompt);
        (new.width, new.height)
    };
    assert_eq!(size("crop to square"), (80, 80));
    assert_eq!(size("crop to 3:1"), (120, 40));
    assert_eq!(size("crop to 50x60"), (50, 60));
    assert_eq!(size("crop to 500x600"), (120, 80));
    assert_eq!(size("crop 10 px off each side"), (100, 60));
    assert_eq!(size("crop 10% off the left"), (108, 80));
    assert_eq!(size("crop the left half"), (60, 80));
    assert_eq!(size("resize to 33x44"), (33, 44));
    assert_eq!(size("fit into 60x60"), (60, 40));
    assert_eq!(size("make it 240 px wide"), (240, 160));
    assert_eq!(size("scale to 150%"), (180, 120));
    assert_eq!(size("half the size"), (60, 40));
    assert_eq!(size("zoom in 2x"), (120, 80));
    let middle = asked(&own, None, "crop to 50x60");
    assert_eq!(at(&middle, 0, 0), at(&own, 35, 10));
    assert_eq!(done(&own, Shape::Resize(120, 80)), own);
    let framed =
        picture(50, 40, |x, y| if (5..45).contains(&x) && (8..30).contains(&y) { [200, 30, 9] } else { [255; 3] });
    let trimmed = asked(&framed, None, "trim the border");
    assert_eq!((trimmed.width, trimmed.height), (40, 22));
    let mask = (0..9600).map(|at| if at % 120 < 30 && at / 120 > 69 { 255 } else { 0 }).collect();
    let shown = asked(&own, Some(mask), "crop to the mask");
    assert_eq!((shown.width, shown.height), (30, 10));
}

#[test]
fn transparency_stays() {
    let mut own = Pixels::new(
        30,
        20,
        4,
        some(30, 20).data.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 70]).collect(),
    );
    own.data[3] = 0;
    for operation in all() {
        if matches!(operation, Operation::Fill(_) | Operation::Texture(Texture::Blur(_) | Texture::Pixelate(_))) {
            continue;
        }
        let new = done(&own, operation);
        let alphas = |picture: &Pixels| -> Vec<u8> { picture.data.iter().skip(3).step_by(4).copied().collect() };
        assert_eq!(alphas(&new), alphas(&own), "{operation:?}");
    }
    assert_eq!(done(&own, Shape::Rotate(10.0)).data[3], 0);
}

/// Stripes and a slow ramp: what a mean cannot go on with.
fn striped(width: u32, height: u32) -> Pixels {
    picture(width, height, |x, y| [if (x + y) / 5 % 2 == 0 { 40 } else { 200 }, (y * 200 / height) as u8, 90])
}

fn disc(width: u32, height: u32, cx: i32, cy: i32, radius: i32) -> Vec<u8> {
    (0..(width * height) as i32)
        .map(|at| {
            let (x, y) = (at % width as i32 - cx, at / width as i32 - cy);
            if x * x + y * y <= radius * radius { 255 } else { 0 }
        })
        .collect()
}

#[test]
fn textures_go_on_over_what_was_removed() {
    let own = striped(96, 80);
    // In the middle, at an edge, in a corner.
    for (cx, cy, radius) in [(48, 40, 14), (0, 40, 12), (95, 79, 16)] {
        let mask = disc(96, 80, cx, cy, radius);
        let mut broken = own.clone();
        let (mut sum, mut count) = ([0_u64; 3], 0);
        for (pixel, masked) in broken.data.chunks_exact_mut(3).zip(&mask) {
            if *masked != 0 {
                pixel.copy_from_slice(&[255, 0, 255]);
            } else {
                count += 1;
                for (sum, sample) in sum.iter_mut().zip(pixel) {
                    *sum += u64::from(*sample);
                }
            }
        }
        let mean = sum.map(|sum| (sum / count) as u8);
        let mut filled = broken.clone();
        assert!(inpaint::fill(&mut filled, &mask, 1));
        let off = |of: &dyn Fn(usize) -> [u8; 3]| -> f64 {
            let shown = mask.iter().enumerate().filter(|(_, masked)| **masked != 0);
            shown
                .map(|(index, _)| {
                    let own = &own.data[index * 3..index * 3 + 3];
                    own.iter().zip(of(index)).map(|(one, other)| f64::from(one.abs_diff(other)).powi(2)).sum::<f64>()
                })
                .sum()
        };
        let by_patches = off(&|index| [0, 1, 2].map(|channel| filled.data[index * 3 + channel]));
        let by_mean = off(&|_| mean);
        assert!(by_patches < 0.35 * by_mean, "at {cx} {cy}: {by_patches} of {by_mean}");
        for (index, masked) in mask.iter().enumerate() {
            let same = filled.data[index * 3..index * 3 + 3] == own.data[index * 3..index * 3 + 3];
            assert!(*masked != 0 || same, "what is kept has changed at {index}");
        }
    }
}

#[test]
fn holes_of_every_size_are_filled() {
    for (width, height) in [(1, 2), (5, 5), (9, 8), (40, 3), (3, 40), (64, 64)] {
        let even = picture(width, height, |_, _| [80, 160, 240]);
        let holes = [1, 2, width * height / 2, width * height - 1];
        for hole in holes.into_iter().filter(|hole| (1..width * height).contains(hole)) {
            let mask: Vec<u8> = (0..width * height).map(|at| if at < hole { 255 } else { 0 }).collect();
            let mut filled = even.clone();
            for (pixel, masked) in filled.data.chunks_exact_mut(3).zip(&mask) {
                if *masked != 0 {
                    pixel.fill(0);
                }
            }
            assert!(inpaint::fill(&mut filled, &mask, 1), "{width}x{height}, {hole}");
            assert!(apart(&filled, &even) <= 1, "{width}x{height}, {hole}: {}", apart(&filled, &even));
        }
        let mut whole = even.clone();
        assert!(!inpaint::fill(&mut whole, &vec![255; (width * height) as usize], 1));
    }
}

fn edit<'a>(prompt: &'a str, image: &Pixels, mask: Option<Vec<u8>>) -> Edit<'a> {
    let mask = mask.map(|mask| Pixels::new(image.width, image.height, 1, mask).png().expect("a PNG").into());
    Edit { prompt, image: image.clone().png().expect("a PNG").into(), mask, strength: None, seed: None }
}

fn refused(edit: Edit<'_>) -> Vec<(String, String)> {
    match png(edit, &Limits::default(), || true).map(drop) {
        Err(Reason::Invalid(problems)) => {
            problems.into_iter().map(|problem| (problem.field, problem.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edit_is_a_png_from_end_to_end() {
    let own = some(40, 30);
    let bytes = png(edit("crop to square, then make it black and white", &own, None), &Limits::default(), || true);
    let bytes: Vec<Vec<u8>> = bytes.expect("a picture").collect();
    let new = hybrid_picture::read(bytes, &Limits::default()).expect("a PNG");
    assert_eq!((new.width, new.height), (30, 30));
    assert!(new.data.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    assert!(matches!(png(edit("blur", &own, None), &Limits::default(), || false), Err(Reason::Timeout)));
}

#[test]
fn what_cannot_be_done_is_told_by_field() {
    let own = some(40, 30);
    let field = |edit: Edit<'_>| refused(edit).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert_eq!(field(edit("a cat", &own, None)), ["prompt"]);
    assert_eq!(field(edit("remove it", &own, None)), ["mask"]);
    assert_eq!(field(edit("remove it", &own, Some(vec![255; 1200]))), ["mask"]);
    assert_eq!(field(edit("blur", &own, Some(vec![0; 1200]))), ["mask"]);
    assert_eq!(field(edit("resize to 30000x30000", &own, None)), ["prompt"]);
    assert_eq!(field(edit("trim the border", &own, None)), ["prompt"]);
    assert_eq!(field(edit("crop 50 px off each side", &own, None)), ["prompt"]);
    assert_eq!(field(Edit { image: b"GIF".to_vec().into(), ..edit("blur", &own, None) }), ["image"]);
    assert_eq!(field(Edit { image: b"GIF".to_vec().into(), ..edit("a cat", &own, None) }), ["image", "prompt"]);
    let small = Pixels::new(8, 8, 1, vec![255; 64]).png().expect("a PNG");
    assert_eq!(field(Edit { mask: Some(small.into()), ..edit("blur", &own, None) }), ["mask"]);
}

#[test]
fn what_is_made_of_a_colour_has_that_colour() {
    let own = picture(9, 9, |_, _| [215, 25, 30]);
    for (prompt, mask) in [("make it blue", None), ("make the ball blue", Some(vec![255; 81]))] {
        let [r, g, b] = at(&asked(&own, mask, prompt), 4, 4);
        assert!(b > r.saturating_add(60) && b > g.saturating_add(30), "{prompt}: {r} {g} {b}");
    }
    let [r, g, b] = at(&asked(&own, None, "make it green"), 4, 4);
    assert!(g > r.saturating_add(40) && g > b.saturating_add(30), "{r} {g} {b}");
}
