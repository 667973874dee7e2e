use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::{File, Kind, Limits, Polarity, Prepared, Refused, answer, prepare};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255, 255, 255];

fn limits() -> Limits {
    Limits::default()
}

/// Four quarters, in reading order.
fn quarters(width: u32, height: u32, colours: [[u8; 3]; 4]) -> RgbImage {
    RgbImage::from_fn(
        width,
        height,
        |x, y| Rgb(colours[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)]),
    )
}

/// The name of the colour in the middle of each quarter.
fn seen(png: &[u8]) -> String {
    let image = read(png).to_rgb8();
    let (width, height) = image.dimensions();
    [(1, 1), (3, 1), (1, 3), (3, 3)]
        .map(|(x, y)| match image.get_pixel(width * x / 4, height * y / 4).0.map(|sample| sample > 127) {
            [true, false, false] => 'R',
            [false, true, false] => 'G',
            [false, false, true] => 'B',
            [true, true, true] => 'W',
            _ => '?',
        })
        .iter()
        .collect()
}

fn read(png: &[u8]) -> DynamicImage {
    assert_eq!(Kind::of(png), Some(Kind::Png));
    // `image` is built without its PNG part here, on purpose; `png` reads.
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut data).expect("its pixels");
    let (width, height) = (frame.width, frame.height);
    match frame.color_type {
        png::ColorType::Grayscale => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, data).expect("gray")),
        png::ColorType::Rgb => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, data).expect("RGB")),
        png::ColorType::Rgba => DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, data).expect("RGBA")),
        other => panic!("{other:?} is not expected"),
    }
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("it can be written");
    bytes.into_inner()
}

fn jpeg(image: RgbImage) -> Vec<u8> {
    written(&image.into(), ImageFormat::Jpeg)
}

fn png_of(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(data)).expect("it can be written");
    bytes
}

/// An RGB PNG whose pixels come in seven passes, not packed.
pub(crate) fn interlaced(width: u32, height: u32, of: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    let mut data = Vec::new();
    for (left, across, top, down) in passes {
        for y in (top..height).step_by(down).filter(|_| left < width) {
            data.push(0);
            data.extend((left..width).step_by(across).flat_map(|x| of(x, y)));
        }
    }
    let mut packed = vec![0x78, 0x01];
    for (at, part) in data.chunks(60_000).enumerate() {
        let length = part.len() as u16;
        packed.push(u8::from((at + 1) * 60_000 >= data.len()));
        packed.extend(length.to_le_bytes().into_iter().chain((!length).to_le_bytes()));
        packed.extend(part);
    }
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    packed.extend((high << 16 | low).to_be_bytes());
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 1]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, contents) in [(b"IHDR", head), (b"IDAT", packed), (b"IEND", Vec::new())] {
        let chunk = [&name[..], &contents].concat();
        bytes.extend((contents.len() as u32).to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc(&chunk).to_be_bytes());
    }
    bytes
}

fn gray_png(image: &GrayImage) -> Vec<u8> {
    png_of(image.width(), image.height(), png::ColorType::Grayscale, png::BitDepth::Eight, image.as_raw())
}

/// Puts a chunk behind the PNG's header.
fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    png::Encoder::new(&mut chunk, 1, 1)
        .write_header()
        .and_then(|mut writer| writer.write_chunk(png::chunk::ChunkType(*name), data))
        .expect("it can be written");
    // Behind the signature and the header (33 bytes); before the end (12 bytes), where there is one.
    let chunk = &chunk[33..33 + 12 + data.len()];
    [&png[..33], chunk, &png[33..]].concat()
}

fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// Puts an EXIF segment behind the JPEG's first marker.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let segment = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &segment, &jpeg[2..]].concat()
}

fn prepared(bytes: Vec<u8>) -> Prepared {
    prepare(&bytes.into(), &limits()).map_err(|refused| refused.to_string()).expect("it can be prepared")
}

fn mask_of(mask: Vec<u8>, picture: &Prepared, polarity: Polarity) -> Result<Vec<u8>, Refused> {
    let own = (picture.own_width, picture.own_height);
    crate::mask(mask, own, (picture.width, picture.height), &limits(), polarity)
}

fn refused(bytes: Vec<u8>) -> Refused {
    prepare(&bytes.into(), &limits()).err().expect("it is refused")
}

#[test]
fn every_exif_rotation_is_set_upright() {
    let upright = ["RGBW", "GRWB", "WBGR", "BWRG", "RBGW", "BRWG", "WGBR", "GWRB"];
    let file = jpeg(quarters(48, 32, [RED, GREEN, BLUE, WHITE]));
    for (orientation, want) in (1..).zip(upright) {
        let prepared = prepared(with_exif(&file, orientation));
        let size = if orientation < 5 { (48, 32) } else { (32, 48) };
        assert_eq!((prepared.width, prepared.height), size, "orientation {orientation}");
        assert_eq!(seen(&prepared.png), want, "orientation {orientation}");
    }
}

#[test]
fn a_large_rotated_photo_fits_the_model() {
    let photo = with_exif(&jpeg(quarters(1600, 1200, [RED, GREEN, BLUE, WHITE])), 6);
    let prepared = prepared(photo);
    assert_eq!((prepared.width, prepared.height), (768, 1024));
    assert_eq!((prepared.own_width, prepared.own_height), (1200, 1600));
    assert_eq!(seen(&prepared.png), "BRWG");
}

#[test]
fn every_kind_is_read() {
    let image = DynamicImage::from(quarters(48, 32, [RED, GREEN, BLUE, WHITE]));
    for format in [ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
        let prepared = prepared(written(&image, format));
        assert_eq!((prepared.width, prepared.height), (48, 32), "{format:?}");
        assert_eq!(seen(&prepared.png), "RGBW", "{format:?}");
    }
    let png = png_of(48, 32, png::ColorType::Rgb, png::BitDepth::Eight, image.as_bytes());
    assert_eq!(seen(&prepared(png).png), "RGBW");
}

#[test]
fn deep_gray_and_see_through_pictures_become_rgb() {
    let deep = png_of(1, 1, png::ColorType::Rgb, png::BitDepth::Sixteen, &[255, 255, 0, 0, 0, 0]);
    let prepared_deep = prepared(deep);
    assert_eq!((prepared_deep.width, prepared_deep.height), (8, 8));
    assert_eq!(read(&prepared_deep.png).to_rgb8().get_pixel(4, 4).0, RED);

    let gray = gray_png(&GrayImage::from_pixel(16, 16, Luma([90])));
    assert!(matches!(read(&prepared(gray).png), DynamicImage::ImageRgb8(image) if image.get_pixel(3, 3).0 == [90; 3]));

    let clear = RgbaImage::from_pixel(16, 16, Rgba([10, 20, 30, 0]));
    let clear = png_of(16, 16, png::ColorType::Rgba, png::BitDepth::Eight, clear.as_raw());
    assert!(matches!(read(&prepared(clear).png), DynamicImage::ImageRgb8(image) if image.get_pixel(3, 3).0 == WHITE));
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut header = png_of(1, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[0]);
    // 60000 by 60000, with the checksum that belongs to it.
    header[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let checksum = crc(&header[12..29]).to_be_bytes();
    header[29..33].copy_from_slice(&checksum);
    let too_large = Refused::TooLarge { width: 60_000, height: 60_000, max_pixels: 40_000_000 };
    assert_eq!(refused(header), too_large);
    assert_eq!(too_large.to_string(), "must have at most 40000000 pixels, and has 60000x60000");

    let mut gif = written(&DynamicImage::new_rgb8(8, 8), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0x60, 0xea, 0x60, 0xea]);
    assert_eq!(refused(gif), too_large);

    let mut bmp = written(&DynamicImage::new_rgb8(8, 8), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x60, 0xea, 0, 0, 0x60, 0xea, 0, 0]);
    assert_eq!(refused(bmp), too_large);

    let mut photo = jpeg(RgbImage::new(8, 8));
    let frame = photo.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
    photo[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    assert_eq!(refused(photo), too_large);
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    assert_eq!(refused(b"<html>".to_vec()), Refused::Unknown);
    assert_eq!(refused(Vec::new()), Refused::Unknown);
    let file = jpeg(quarters(64, 64, [RED, GREEN, BLUE, WHITE]));
    assert!(matches!(refused(file[..file.len() - 40].to_vec()), Refused::Broken(_)));
    let png = gray_png(&GrayImage::from_fn(64, 64, |x, y| Luma([(x * y) as u8])));
    assert!(matches!(refused(png[..png.len() / 2].to_vec()), Refused::Broken(_)));
    let thin = gray_png(&GrayImage::new(2000, 2));
    assert_eq!(refused(thin), Refused::TooThin { width: 2000, height: 2 });
}

#[test]
fn a_mask_goes_the_way_of_its_picture() {
    let picture = prepared(jpeg(RgbImage::new(2000, 1000)));
    assert_eq!((picture.width, picture.height), (1024, 512));
    let left_is_light = gray_png(&GrayImage::from_fn(2000, 1000, |x, _| Luma([if x < 1000 { 130 } else { 120 }])));
    let mask = mask_of(left_is_light, &picture, Polarity::Light).expect("it fits");
    let DynamicImage::ImageLuma8(mask) = read(&mask) else { panic!("a mask is gray") };
    assert_eq!(mask.dimensions(), (1024, 512));
    assert!(mask.enumerate_pixels().all(|(x, _, pixel)| pixel.0[0] == if x < 512 { 255 } else { 0 }));
}

#[test]
fn a_mask_is_upright_like_its_picture() {
    let picture = prepared(with_exif(&jpeg(RgbImage::new(64, 32)), 6));
    let top_is_white = gray_png(&GrayImage::from_fn(32, 64, |_, y| Luma([if y < 32 { 255 } else { 0 }])));
    let mask = mask_of(top_is_white, &picture, Polarity::Light).expect("it fits");
    assert_eq!(seen(&mask).as_bytes()[0], b'W');
    assert_ne!(seen(&mask).as_bytes()[2], b'W');

    let lying = gray_png(&GrayImage::new(64, 32));
    let refused = mask_of(lying, &picture, Polarity::Light).expect_err("it lies on its side");
    assert_eq!(refused.to_string(), "must be as large as its picture, 32x64, and is 64x32");
}

#[test]
fn what_is_transparent_in_a_mask_is_kept() {
    let picture = prepared(jpeg(RgbImage::new(16, 16)));
    let half = RgbaImage::from_fn(16, 16, |x, _| Rgba([255, 255, 255, if x < 8 { 255 } else { 0 }]));
    let half = png_of(16, 16, png::ColorType::Rgba, png::BitDepth::Eight, half.as_raw());
    let mask = mask_of(half, &picture, Polarity::Light).expect("it fits");
    let DynamicImage::ImageLuma8(mask) = read(&mask) else { panic!("a mask is gray") };
    assert_eq!((mask.get_pixel(7, 8).0, mask.get_pixel(8, 8).0), ([255], [0]));
}

#[test]
fn a_mask_may_say_by_transparency_what_is_painted_anew() {
    let picture = prepared(jpeg(RgbImage::new(16, 16)));
    let made = |left: [u8; 4], right: [u8; 4]| {
        let file = RgbaImage::from_fn(16, 16, |x, _| Rgba(if x < 8 { left } else { right }));
        let file = png_of(16, 16, png::ColorType::Rgba, png::BitDepth::Eight, file.as_raw());
        let mask = mask_of(file, &picture, Polarity::Transparent).expect("it fits");
        let DynamicImage::ImageLuma8(mask) = read(&mask) else { panic!("a mask is gray") };
        (mask.get_pixel(7, 8).0[0], mask.get_pixel(8, 8).0[0])
    };
    assert_eq!(made([9, 9, 9, 0], [255, 255, 255, 255]), (255, 0));
    // Nothing is transparent: black and white must be meant.
    assert_eq!(made([255, 255, 255, 255], [0, 0, 0, 255]), (255, 0));
}

#[test]
fn metadata_never_comes_out() {
    let secret = b"Comment\0where I live";
    let png = png_of(8, 8, png::ColorType::Rgb, png::BitDepth::Eight, &[7; 192]);
    let told = with_chunk(&with_chunk(&png, b"tEXt", secret), b"eXIf", &exif(1));
    assert!(told.len() > png.len() + secret.len());
    assert_eq!(answer(told.clone(), &limits()).expect("it is a picture"), png);
    let prepared = prepared(told).png;
    assert!(!prepared.windows(5).any(|word| word == b"where"));

    let turned = with_chunk(&png, b"eXIf", &exif(6));
    let out = answer(turned, &limits()).expect("it is a picture");
    assert!(!out.windows(4).any(|name| name == b"eXIf"));
}

#[test]
fn whatever_a_model_made_becomes_png() {
    let image = DynamicImage::from(quarters(48, 32, [RED, GREEN, BLUE, WHITE]));
    for format in [ImageFormat::Jpeg, ImageFormat::WebP] {
        let out = answer(written(&image, format), &limits()).expect("it is a picture");
        assert_eq!(seen(&out), "RGBW", "{format:?}");
    }
    let glass = DynamicImage::from(RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 4])));
    let out = answer(written(&glass, ImageFormat::WebP), &limits()).expect("it is a picture");
    assert!(matches!(read(&out), DynamicImage::ImageRgba8(image) if image.get_pixel(0, 0).0 == [1, 2, 3, 4]));
    let opaque = DynamicImage::from(RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 255])));
    let out = answer(written(&opaque, ImageFormat::WebP), &limits()).expect("it is a picture");
    assert!(matches!(read(&out), DynamicImage::ImageRgb8(_)));
}

#[test]
fn garbage_of_a_model_is_told() {
    assert_eq!(answer(b"<!doctype html><title>502</title>".to_vec(), &limits()), Err(Refused::Unknown));
    let png = png_of(64, 64, png::ColorType::Rgb, png::BitDepth::Eight, &[9; 64 * 64 * 3]);
    assert!(matches!(answer(png[..png.len() - 20].to_vec(), &limits()), Err(Refused::Broken(_))));
    let file = jpeg(quarters(64, 64, [RED, GREEN, BLUE, WHITE]));
    assert!(matches!(answer(file[..file.len() / 2].to_vec(), &limits()), Err(Refused::Broken(_))));
}

#[test]
fn the_head_of_a_file_tells_as_much_as_the_whole() {
    let photo = with_exif(&jpeg(RgbImage::from_fn(640, 480, |x, y| Rgb([x as u8, y as u8, 90]))), 6);
    let head = File::from(photo[..photo.len() / 2].to_vec());
    assert_eq!(crate::size_by_head(&head, &limits()), Ok(Some((480, 640))));
    assert!(matches!(crate::size(&head, &limits()), Err(Refused::Broken(_))));
    assert_eq!(crate::size(&File::from(photo.clone()), &limits()), Ok((480, 640)));
    assert_eq!(crate::size_by_head(&File::from(photo[..30].to_vec()), &limits()), Ok(None));
    let small = Limits { max_pixels: 1000, ..limits() };
    assert!(matches!(crate::size_by_head(&head, &small), Err(Refused::TooLarge { .. })));
}

#[test]
fn a_file_in_pieces_is_the_same_picture() {
    let image = RgbImage::from_fn(90, 70, |x, y| Rgb([(x * 7 + y) as u8, (y * 5) as u8, (x * y) as u8]));
    let dynamic = DynamicImage::ImageRgb8(image.clone());
    let mut files =
        vec![jpeg(image.clone()), png_of(90, 70, png::ColorType::Rgb, png::BitDepth::Eight, image.as_raw())];
    files.extend([ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp].map(|format| written(&dynamic, format)));
    for file in files {
        let whole = crate::read(file.clone(), &limits()).expect("a picture");
        let pieces: Vec<Vec<u8>> = file.chunks(37).map(<[u8]>::to_vec).collect();
        assert_eq!(crate::read(pieces.clone(), &limits()), Ok(whole.clone()), "{:?}", Kind::of(&file));
        assert_eq!(crate::size(&File::from(pieces), &limits()), Ok((90, 70)));
    }
}

#[test]
fn noise_is_left_as_it_is_and_everything_else_packed() {
    let mut state = 1_u32;
    let mut noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let large = (0..900_000).map(&mut noise).collect::<Vec<u8>>();
    let small = (0..300).map(&mut noise).collect::<Vec<u8>>();
    for (width, height, data, most) in
        [(600, 500, large, 901_500), (10, 10, small, 600), (600, 500, vec![7; 900_000], 20_000)]
    {
        let pixels = crate::Pixels::new(width, height, 3, data);
        let pieces: Vec<Vec<u8>> = pixels.clone().png_pieces().expect("a PNG").collect();
        assert!(pieces.iter().map(Vec::len).sum::<usize>() < most);
        assert!(pieces.iter().all(|piece| piece.len() <= (256 + 80) * 1024));
        assert_eq!(crate::read(pieces, &limits()), Ok(pixels));
    }
}

#[test]
fn a_large_png_is_made_small_as_it_is_read() {
    const SIZE: (u32, u32) = (901, 603);
    let limits = Limits { max_model_side: 256, ..limits() };
    let png = |kind, data: &[u8]| png_of(SIZE.0, SIZE.1, kind, png::BitDepth::Eight, data);
    let small = |file: Vec<u8>| prepare(&file.into(), &limits);
    let of = |x: u32, y: u32| [(x / 4) as u8, (y / 3) as u8, 250 - (x / 8) as u8];
    let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb(of(x, y)));
    let glass = RgbaImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let [red, green, blue] = of(x, y);
        Rgba([red, green, blue, if x < 450 { 255 } else { 0 }])
    });
    let file = png(png::ColorType::Rgb, image.as_raw());
    let opaque = small(file.clone()).map_err(|refused| refused.to_string()).expect("a picture");
    assert_eq!((opaque.width, opaque.height, opaque.own_width), (256, 168, 901));
    for (x, y, pixel) in read(&opaque.png).to_rgb8().enumerate_pixels() {
        let wanted = of(x * 901 / 256, y * 603 / 168);
        assert!(
            pixel.0.iter().zip(wanted).all(|(one, other)| one.abs_diff(other) <= 3),
            "{x} {y} {pixel:?} {wanted:?}"
        );
    }
    let clear = small(png(png::ColorType::Rgba, glass.as_raw())).map_err(|refused| refused.to_string());
    assert_eq!(read(&clear.expect("a picture").png).to_rgb8().get_pixel(200, 100).0, WHITE);
    assert!(matches!(small(file[..file.len() / 2].to_vec()).err(), Some(Refused::Broken(_))));
}

#[test]
fn what_there_is_no_room_for_comes_smaller_whatever_its_kind() {
    const SIZE: (u32, u32) = (400, 300);
    let of = |x: u32, y: u32| [(x / 2) as u8, (y / 2) as u8, 120];
    let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb(of(x, y)));
    let mut files = vec![jpeg(image.clone()), interlaced(SIZE.0, SIZE.1, of)];
    files.push(png_of(SIZE.0, SIZE.1, png::ColorType::Rgb, png::BitDepth::Eight, image.as_raw()));
    let image = DynamicImage::ImageRgb8(image);
    files.extend([ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp].map(|format| written(&image, format)));
    let little = Limits { max_made_bytes: 90_000, ..limits() };
    for file in files {
        let kind = Kind::of(&file);
        let whole = crate::read(file.clone(), &limits()).expect("a picture");
        assert_eq!((whole.width, whole.height), SIZE, "{kind:?}");
        let small = crate::read(file, &little).expect("a picture");
        assert_eq!((small.width, small.height), (200, 150), "{kind:?}");
        for (at, pixel) in (0..).zip(small.data.chunks_exact(usize::from(small.channels))) {
            // A GIF has but 256 colours.
            let near = pixel.iter().zip(of(at % 200 * 2, at / 200 * 2)).all(|(one, other)| one.abs_diff(other) <= 12);
            assert!(near, "{kind:?}: {at} is {pixel:?}");
        }
    }
}

#[test]
fn what_can_only_be_read_whole_is_refused_where_there_is_no_room_and_says_how_large_it_may_be() {
    let mut packed = b"BM".to_vec();
    let rows = [255, 7, 145, 9, 0, 0].repeat(300);
    for word in [1078 + rows.len() as u32, 0, 1078, 40, 400, 300, 1 | 8 << 16, 1, rows.len() as u32, 0, 0, 0, 0] {
        packed.extend(word.to_le_bytes());
    }
    packed.extend((0..1024).map(|at| at as u8));
    packed.extend(rows);
    assert!(crate::read(packed.clone(), &limits()).is_ok());
    let little = Limits { max_made_bytes: 90_000, ..limits() };
    let refused = crate::read(packed, &little).expect_err("there is no room");
    assert_eq!(refused.to_string(), "must have at most 30000 pixels as image/bmp, and has 400x300");
}
